import type { ErrorCode } from '../error-codes';
import { type FlowErrorData, flowErrorData } from '../errors';
import type { Json, JsonObject } from '../json';

/** What a step of a dry run is answered instead of being done, at one attempt. In histories: add optional forms, never change one. */
export type MockAnswer =
  | { readonly output: Json }
  | { readonly error: MockError }
  /** The attempt takes as long as it may. */
  | { readonly timeout: true }
  | MockDecision;

/** What a person decides on an approval; `timedOut`: nobody did. */
export interface MockDecision {
  readonly decision: 'approved' | 'rejected' | 'timedOut';
  readonly by?: string;
  readonly comment?: string;
  readonly form?: Json;
}

/** An error as `catch` sees it; it has a code of the project's, or a type of its author's. */
export interface MockError {
  readonly code?: ErrorCode;
  readonly type?: string;
  readonly status?: number;
  readonly title?: string;
  readonly detail?: string;
  readonly data?: Json;
  /** Whether another attempt follows; absent: as {@link isRetriedError} says. */
  readonly retryable?: boolean;
}

/** Answers of a step, one for each attempt; the last one repeats. */
export interface StepMock {
  readonly answers: readonly MockAnswer[];
  /** Of a step that runs another flow: mocks of that flow's steps, as its start input has them. */
  readonly inner?: JsonObject;
  /**
   * Instead of all these: what it is in each round of a loop around the step, the last one repeats. A round that has rounds itself is one of
   * `for` or `listen`, in which `then` leads back to the step.
   */
  readonly rounds?: readonly StepMock[];
}

/** The error that a mock stands for. */
export function mockedError({
  code,
  type,
  status,
  title,
  detail = 'the mock of the step says so',
  data,
}: MockError): FlowErrorData {
  const known =
    code === undefined
      ? { type: type ?? 'about:blank', status: status ?? 500, detail }
      : flowErrorData(code, detail, status === undefined ? {} : { status });
  return {
    ...known,
    ...(type === undefined ? {} : { type }),
    ...(title === undefined ? {} : { title }),
    ...(data === undefined ? {} : { data }),
  };
}

/** Outages, which blocks themselves try again. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BLW_BLOCK_CRASHED',
  'BLW_BLOCK_FAILED',
  'BLW_FS_IO',
  'BLW_HTTP_UNREACHABLE',
  'BLW_IDENTITY_UNAVAILABLE',
  'BLW_PAYLOAD_STORE',
  'BLW_SQL_UNAVAILABLE',
]);

/** Where the effect is not known: tried again where that does no harm. */
const UNCERTAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BLW_HTTP_OUTCOME_UNKNOWN',
  'BLW_HTTP_TIMEOUT',
  'BLW_SQL_TIMEOUT',
]);

/** Answers by which a server says "not now" (activities/http/status-failure.ts). */
const TRY_LATER: ReadonlySet<number> = new Set([408, 425, 429, 503]);

/** Whether the block would try again after an error: an outage, or a doubtful end of a step that may be repeated. */
export function isRetriedError({ code, status = 0, retryable }: MockError, isRepeatable: boolean): boolean {
  if (retryable !== undefined) return retryable;
  if (code === undefined) return false;
  if (code === 'BLW_HTTP_STATUS') return TRY_LATER.has(status) || (isRepeatable && status >= 500);
  return OUTAGES.has(code) || (isRepeatable && UNCERTAIN.has(code));
}
