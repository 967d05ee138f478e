import type { Json, JsonObject } from './json';

/** What becomes of a flow whose step has failed for good (`metadata.onFailure`). */
export const ON_FAILURE = ['fail', 'continue', 'deadLetter'] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

/** A step that failed for good and waits for somebody to say what becomes of it. In histories: add, never change. */
export interface DeadLetter {
  /** JSON Pointer of the step, with the iteration in brackets where it has one: `/do/1/each/do/0/pay[17]`. Unique among those that wait. */
  readonly id: string;
  readonly step: string;
  readonly name: string;
  readonly iteration?: string;
  /** Block type: `http.request`. */
  readonly block: string;
  /** How far it got: its arguments could not be made, it failed, or it is done and its output could not be transformed. */
  readonly failedIn: 'input' | 'run' | 'output';
  readonly error: JsonObject;
  /** Attempts of its last activity, where they are known. */
  readonly attempts?: number;
  /** How often it was retried as a dead letter. */
  readonly retries: number;
  /** In ms since 1970. */
  readonly startedAt: number;
  readonly failedAt: number;
  /** Names this failure and no other, a later one of the same step included; absent in histories of before. */
  readonly failureId?: string;
  /** What the step got from the one before, before its `input.from`. */
  readonly input: Json;
  /** The block's arguments, with `***` for secrets; absent where they could not be made. */
  readonly with?: JsonObject;
}

/** How a dead letter is called: its step's JSON Pointer, with the iteration where it has one. */
export function letterId(step: string, iteration: string | undefined): string {
  return iteration === undefined || iteration === '' ? step : `${step}[${iteration}]`;
}

/** Argument of the query `deadLetters`; without one, it tells the first. */
export interface DeadLettersQueryInput {
  /** Only this one, with all that there is of it. */
  readonly id?: string;
  /** Those behind this one; where it waits no more, the first again. */
  readonly after?: string;
}

/** A dead letter in a list. Where the list would be too large for an answer, it is without what is large. */
export type ListedLetter = Omit<DeadLetter, 'input'> & {
  readonly input?: Json;
  /** `input`, `with` and the data of the error were left out; ask for this one by its id. */
  readonly isCut?: true;
};

/** Answer of the query `deadLetters`, the oldest first. */
export interface DeadLetters {
  readonly tenant: string;
  readonly flow: string;
  readonly letters: readonly ListedLetter[];
  /** There are more behind them. */
  readonly hasMore?: true;
  /** A resolution needs a token; absent: it does not. */
  readonly needsToken?: true;
}

export const RESOLVE_ACTIONS = ['retry', 'skip', 'discard'] as const;

/** What is to become of a dead letter. Argument of the update `resolve`. */
export interface Resolution {
  /** Absent: the only one that waits. */
  readonly id?: string;
  /** When the step failed, as the letter has it: refused where it has failed again since. Absent: whenever. */
  readonly failedAt?: number;
  /**
   * `retry` runs the step again; `skip` goes on behind it, which was done where it has an output; `discard` lets it fail, as `onFailure: fail` does.
   */
  readonly action: (typeof RESOLVE_ACTIONS)[number];
  /** Of `retry`: changes to the arguments, as a JSON merge patch (RFC 7396). */
  readonly with?: JsonObject;
  /** Of `retry`: what the step gets in the place of its input; its arguments are made anew. */
  readonly input?: Json;
  /** Of `skip`: the step was done, with this output; absent: it was not, and its input goes on, as where `if` says no. */
  readonly output?: Json;
  /** Who says so. */
  readonly by?: string;
  readonly comment?: string;
  /** Sealed for this resolution, where the flow was started with a token. */
  readonly token?: string;
}

/** Answer of the update `resolve`. */
export interface ResolveAnswer {
  readonly id: string;
  readonly action: Resolution['action'];
  readonly by?: string;
  /** Dead letters that wait still. */
  readonly left: number;
}

/** Applies a JSON merge patch (RFC 7396): null removes a key, objects merge, all else replaces. */
export function mergePatch(target: Json, patch: Json): Json {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const entries = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) entries.delete(key);
    else entries.set(key, mergePatch(entries.get(key) ?? null, value ?? null));
  }
  // Like a literal, it takes a key `__proto__` for what it says.
  return Object.fromEntries(entries);
}
