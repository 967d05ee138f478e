import type { ErrorCode } from '../dsl/error-codes';
import { FlowError, flowErrorData } from '../dsl/errors';
import type { Json } from '../dsl/json';

/** A failure of a block that knows whether trying again may help. */
export class BlockFailure extends FlowError {
  constructor(
    code: ErrorCode,
    detail: string,
    readonly options: {
      readonly retryable: boolean;
      /** Earliest time of the next attempt, from now, e.g. from `Retry-After`. */
      readonly retryAfterMs?: number;
      readonly status?: number;
      readonly data?: Json;
      readonly cause?: unknown;
    },
  ) {
    const { status, data, cause } = options;
    super(
      flowErrorData(code, detail, {
        ...(status === undefined ? {} : { status }),
        ...(data === undefined ? {} : { data }),
      }),
      cause === undefined ? undefined : { cause },
    );
  }
}

type Extra = { status?: number; data?: Json; cause?: unknown };

/** Bad input or denial: another attempt would fail the same way. */
export function notRetryable(code: ErrorCode, detail: string, extra: Extra = {}): BlockFailure {
  return new BlockFailure(code, detail, { ...extra, retryable: false });
}

/** An outage: another attempt may succeed. */
export function retryable(
  code: ErrorCode,
  detail: string,
  extra: Extra & { retryAfterMs?: number } = {},
): BlockFailure {
  return new BlockFailure(code, detail, { ...extra, retryable: true });
}
