import { ApplicationFailure, type Info } from '@temporalio/activity';
import { FlowError, flowError, flowErrorToJson, messageOf } from '../dsl/errors';
import { BlockFailure } from './block-failure';

/**
 * An error as it crosses the wire: the code as `type`, the error's data and the number of the attempt as details; without that the flow counts the failure.
 * What is no FlowError is a defect of a block: BLW_BLOCK_FAILED, retried, since it may be a passing one.
 */
export function toApplicationFailure(error: unknown, { attempt }: { attempt?: number }): ApplicationFailure {
  if (!(error instanceof FlowError)) {
    const message = messageOf(error);
    return toApplicationFailure(new UnexpectedFailure(message, error), attempt === undefined ? {} : { attempt });
  }
  const { data } = error;
  const isRetryable = error instanceof UnexpectedFailure || (error instanceof BlockFailure && error.options.retryable);
  const retryAfterMs = error instanceof BlockFailure ? error.options.retryAfterMs : undefined;
  return ApplicationFailure.create({
    message: data.detail ?? data.title ?? data.type,
    type: data.code ?? data.type,
    nonRetryable: !isRetryable,
    details: attempt === undefined ? [flowErrorToJson(data)] : [flowErrorToJson(data), attempt],
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  });
}

/** True where Temporal makes no further attempt after this error. */
export function isFinalFailure(
  error: unknown,
  { attempt, retryPolicy }: Pick<Info, 'attempt' | 'retryPolicy'>,
): boolean {
  const { nonRetryable, type } = toApplicationFailure(error, { attempt });
  const { maximumAttempts = 0, nonRetryableErrorTypes = [] } = retryPolicy ?? {};
  const isNamed = typeof type === 'string' && nonRetryableErrorTypes.includes(type);
  return nonRetryable === true || isNamed || (maximumAttempts > 0 && attempt >= maximumAttempts);
}

class UnexpectedFailure extends FlowError {
  constructor(message: string, cause: unknown) {
    super(flowError('BLW_BLOCK_FAILED', message).data, { cause });
  }
}
