import type { Json } from '../../dsl/json';

/** Which result is meant. */
export interface ResultId {
  readonly tenant: string;
  /** Hex; of everything that tells the result from others (cache-digest.ts). */
  readonly digest: string;
}

/** Keeps outputs of steps for a while. What cannot be kept or found again is only missed: callers run the step then. */
export interface StepCache {
  /** The output of an id, stored at most `maxAgeMs` ago; undefined where there is none. Throws where the store fails. */
  get(id: ResultId, maxAgeMs: number): Promise<{ readonly output: Json } | undefined>;
  /** Keeps an output, in the place of an older one, for `maxAgeMs`. Throws where the store fails. */
  put(id: ResultId, output: Json, maxAgeMs: number): Promise<void>;
  /** Removes what is older than it was kept for. */
  sweep(): Promise<{ removed: number; freedBytes: number }>;
}
