import { TimeoutType } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { isTooLong, jsonBytes } from '../dsl/encoded-json';
import { FlowError, type FlowErrorData, flowError, flowErrorToJson } from '../dsl/errors';
import { isJsonObject } from '../dsl/json';
import { shortText } from '../dsl/problems';
import type { RecordedFailure } from '../dsl/recorded-failure';
import { readable } from './lost-payload';

/**
 * What went wrong with an activity or a child workflow, as an error of the flow. A cancellation stays a cancellation,
 * and an error that is not Temporal's (a defect of ours) stays what it is, so that it fails the workflow task.
 */
export function toFlowError(error: unknown): unknown {
  // A local activity rejects with the failure itself, the others with one around it.
  const cause = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
  if (cause instanceof CancelledFailure) return cause;
  if (isTooLong(cause))
    return flowError('BLW_RESULT_TOO_LARGE', 'what the step reads has more than 512 MiB of JSON', { cause });
  if (cause instanceof TimeoutFailure) return timeoutError(cause);
  if (cause instanceof ApplicationFailure) {
    const data = flowErrorDataOf(cause);
    return data === undefined
      ? flowError('BLW_BLOCK_FAILED', cause.message, { cause })
      : new FlowError(data, { cause });
  }
  // Among the others of Temporal's: the workflow id of an approval is taken.
  return cause === error && !(error instanceof TemporalFailure)
    ? error
    : flowError('BLW_BLOCK_FAILED', cause instanceof Error ? cause.message : 'it failed for no known reason', {
        cause: error,
      });
}

/** As {@link toFlowError}; a child that somebody else cancelled is a step that failed. */
export function childError(thrown: unknown, workflowId: string): unknown {
  const error = toFlowError(thrown);
  if (!(error instanceof CancelledFailure) || CancellationScope.current().consideredCancelled) return error;
  return flowError('BLW_CANCELLED', `the workflow ${workflowId} was cancelled`, { cause: thrown });
}

/** A failure that came within the result of another step. */
export function failureOf({ message, type, nonRetryable, details }: RecordedFailure): ApplicationFailure {
  return ApplicationFailure.create({ message, type, nonRetryable, details: [...details] });
}

/** True where an attempt began and nobody reported on it: what it did is not known. */
export function isLostAttempt(error: unknown): error is ActivityFailure {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return false;
  const { timeoutType } = error.cause;
  return timeoutType === TimeoutType.HEARTBEAT || timeoutType === TimeoutType.START_TO_CLOSE;
}

/**
 * The failure of a step whose time for all attempts passed; undefined: it failed otherwise. Where no worker had taken it, that ends it first
 * (`call-request.ts`). Else an attempt was running of which nobody reported: the server makes no pause that ends after all. Only a second attempt may
 * have been waiting for a worker instead, which the failure does not tell; it is taken for running.
 */
export function lateForAll(
  error: unknown,
  { pool, mayRepeat }: { readonly pool: string; readonly mayRepeat: boolean },
): FlowError | undefined {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return undefined;
  const { cause } = error;
  if (cause.timeoutType === TimeoutType.SCHEDULE_TO_START)
    return flowError(
      'BLW_STEP_TIMEOUT',
      `no worker of the pool ${pool} took the step before its timeout was over; it did not run`,
      { cause },
    );
  return cause.timeoutType === TimeoutType.SCHEDULE_TO_CLOSE && !mayRepeat ? unknownTimeout(cause) : undefined;
}

/** The failure of a step that must not be repeated and whose time was over while it may have been running. */
export function unknownTimeout(cause?: Error): FlowError {
  return flowError(
    'BLW_STEP_TIMEOUT',
    'the step took longer than its timeout; it is not known whether it took effect',
    { data: { outcome: 'unknown' }, ...(cause === undefined ? {} : { cause }) },
  );
}

/** The failure of a step that is not repeated after a lost attempt. */
export function unknownOutcome({ cause }: ActivityFailure): FlowError {
  const what =
    cause instanceof TimeoutFailure && cause.timeoutType === TimeoutType.HEARTBEAT
      ? 'the worker that ran the step stopped reporting'
      : "the worker did not report before the step's time was up";
  return flowError(
    'BLW_OUTCOME_UNKNOWN',
    `${what}; it is not known whether the step took effect, so it is not repeated`,
    {
      data: { outcome: 'unknown' },
      cause,
    },
  );
}

function timeoutError(failure: TimeoutFailure): FlowError {
  if (failure.timeoutType === TimeoutType.HEARTBEAT) {
    return flowError('BLW_STEP_STALLED', 'the worker stopped reporting on the step', { cause: failure });
  }
  return flowError('BLW_STEP_TIMEOUT', 'the step took longer than its timeout', { cause: failure });
}

function flowErrorDataOf(failure: ApplicationFailure): FlowErrorData | undefined {
  let data: unknown;
  try {
    data = readable(failure.details?.[0], 'the data of an error');
  } catch (error) {
    if (error instanceof FlowError) return error.data;
    throw error;
  }
  return isJsonObject(data) && typeof data.type === 'string' && typeof data.status === 'number'
    ? (data as unknown as FlowErrorData)
    : undefined;
}

/**
 * True where an activity failed and its worker could not know that this was the end: it did not report, or the server had no
 * time left for another attempt.
 */
export function isUnreported(error: unknown): error is ActivityFailure {
  if (!(error instanceof ActivityFailure) || error.cause instanceof CancelledFailure) return false;
  const isKnownEnd = error.retryState === 'NON_RETRYABLE_FAILURE' || error.retryState === 'MAXIMUM_ATTEMPTS_REACHED';
  return !isKnownEnd || attemptsOf(error) === undefined;
}

/** Attempts that an activity made before it failed for good, where the failure tells. */
export function attemptsOf(error: unknown): number | undefined {
  // Of a local activity, the failure itself.
  const failure = error instanceof ActivityFailure ? error.cause : error;
  const attempt: unknown = failure instanceof ApplicationFailure ? failure.details?.[1] : undefined;
  return typeof attempt === 'number' ? attempt : undefined;
}

/**
 * An error of a flow as the failure that a workflow ends with: readable, not retried, the code as its type. Without its
 * cause, which the history has in the event of the step.
 */
export function toWorkflowFailure(error: FlowError): ApplicationFailure {
  const data = withinLimits(error.data);
  const where = data.instance === undefined ? '' : `${data.instance}: `;
  const code = data.code === undefined ? '' : ` [${data.code}]`;
  return ApplicationFailure.create({
    message: `${where}${data.detail ?? data.title ?? data.type}${code}`,
    type: data.code ?? data.type,
    nonRetryable: true,
    details: [flowErrorToJson(data)],
  });
}

/** What `run` gives; an error of the flow is thrown as the workflow's failure. */
export function asWorkflowFailure<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}

/** Longest text of an error, and most data, that a failed workflow shows: a `raise` may make them of anything. */
const MAX_TEXT_LENGTH = 10_000;
const MAX_DATA_BYTES = 500_000;

/** An error as it is shown: its texts and data cut to what has room. */
export function withinLimits(data: FlowErrorData): FlowErrorData {
  const { data: extra, ...rest } = data;
  const texts = Object.entries(rest).map(([key, value]) => [
    key,
    typeof value === 'string' ? shortText(value, MAX_TEXT_LENGTH) : value,
  ]);
  return {
    ...(Object.fromEntries(texts) as Omit<FlowErrorData, 'data'>),
    ...(extra === undefined || jsonBytes(extra) > MAX_DATA_BYTES ? {} : { data: extra }),
  };
}
