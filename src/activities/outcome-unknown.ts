import type { ErrorCode } from '../dsl/error-codes';
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
