import { isJsonObject, type JsonObject } from './json';
import { LOCAL_ATTEMPT_MS } from './local-step';
import { readAheadMs, readsIn, withAheadMs } from './read-ahead/read-ahead';
import type { RecordedFailure } from './recorded-failure';
import type { StepRequest, StepResult } from './step-request';

/** Longest wait of attempts that are made together for their turn in the worker, ms. One alone waits as long in the SDK, where no time counts. */
export const TURN_MS = 4_000;

/** Longest wait of one of them for a place in the pool, ms: then it still has its whole time. */
export const PLACE_MS = 900;

/** Longest wait for a place of a step that begins a row of reads, ms: rows that have begun come first. */
export const BEGIN_MS = 1_500;

/** Kept back for the answer to get to Temporal before it gives up all of them for the sake of one, ms. */
export const ANSWER_MS = 100;

/** Steps in place that begin together and are tried by one local activity. Only the worker sees it: what is asked of a local activity is in no history. */
export interface StepsTogether {
  // First: the codec reads off the beginning whose it is (encryption-codec.ts).
  readonly tenant: string;
  readonly attempts: readonly AttemptTogether[];
}

/** What a step would be sent out with alone. */
export interface AttemptTogether {
  readonly block: string;
  readonly request: StepRequest;
  /** Of the step, as through its queue. */
  readonly startToCloseMs: number;
  readonly retry: RetryTogether;
}

/** As Temporal's `RetryPolicy`, of which one attempt is made; ms. */
export interface RetryTogether {
  readonly initialInterval: number;
  readonly backoffCoefficient: number;
  readonly maximumInterval: number;
  readonly nonRetryableErrorTypes: string[];
}

/** What became of one of them; the answers are in the order of the attempts. In histories: add optional fields, never change one. */
export type AnswerTogether = {
  /** JSON Pointer of the step, for those who read the history. */
  readonly step: string;
} & ({ readonly result: StepResult } | { readonly failure: RecordedFailure });

/** Longest time of one attempt in place, with what is read ahead of it, and the wait before of one that begins a row of reads, ms. */
export function attemptMs(startToCloseMs: number, { local }: Pick<StepRequest, 'local'>): number {
  const { ahead } = local ?? {};
  if (ahead === undefined) return Math.min(LOCAL_ATTEMPT_MS, startToCloseMs);
  return withAheadMs(ahead) + (ahead.isBeside === true ? readAheadMs(ahead) : BEGIN_MS + ANSWER_MS);
}

/** The same of all attempts that are made together, with the waits before. */
export function togetherMs(attempts: readonly Pick<AttemptTogether, 'startToCloseMs' | 'request'>[]): number {
  return (
    TURN_MS +
    PLACE_MS +
    ANSWER_MS +
    Math.max(...attempts.map(({ startToCloseMs, request }) => attemptMs(startToCloseMs, request)))
  );
}

/** A step that failed within a record. */
export interface ErrorWithin {
  /** JSON Pointer. */
  readonly step: string;
  readonly error: JsonObject;
}

/** Steps that failed within a record of a history: of those tried together, and of those read ahead. */
export function errorsWithin(record: unknown): ErrorWithin[] {
  const answers = Array.isArray(record) ? (record as AnswerTogether[]) : [];
  const results = answers.map((answer) => ('result' in answer ? answer.result : undefined));
  const ends = [...answers, ...[record, ...results].flatMap(readsIn)];
  return ends.flatMap((end) => {
    const error = 'failure' in end ? end.failure.details[0] : undefined;
    return isJsonObject(error) ? [{ step: end.step, error }] : [];
  });
}
