import type { ErrorCode } from '../dsl/error-codes';
import type { FlowError } from '../dsl/errors';
import { isJsonObject } from '../dsl/json';
import { type BlockFailure, notRetryable } from './block-failure';

/**
 * The failure of a step that may have taken effect and must not do so twice: not retryable, and `data.outcome` is `unknown`, whatever
 * its code. `what` says what is known.
 */
export function outcomeUnknown(
  what: string,
  { code = 'BLW_OUTCOME_UNKNOWN', cause }: { code?: ErrorCode; cause?: unknown } = {},
): BlockFailure {
  const detail = `${what}; it is not known whether the step took effect, so it is not repeated; check where the effect would be`;
  return notRetryable(code, detail, { data: { outcome: 'unknown' }, ...(cause === undefined ? {} : { cause }) });
}

/** The same failure, said to be of a step that may have taken effect: not retryable, and its data has `outcome: unknown` as well. */
export function withUnknownOutcome(error: FlowError): BlockFailure {
  const { code = 'BLW_OUTCOME_UNKNOWN', detail = error.message, status, data } = error.data;
  return notRetryable(code, detail, {
    status,
    data: { ...(isJsonObject(data) ? data : {}), outcome: 'unknown' },
    cause: error,
  });
}
