import {
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { flowErrorData, flowErrorToJson } from '../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../dsl/json';

/** How a flow ended. The error has the shape of OWS: type, status, title, detail, instance, code, data. */
export type FlowOutcome =
  | { readonly status: 'Completed'; readonly output: Json }
  | { readonly status: 'Failed' | 'Cancelled' | 'Terminated' | 'TimedOut'; readonly error: JsonObject };

/** Waits until the flow has ended, however it does. Rejects only where Temporal cannot be asked. */
export async function awaitOutcome(handle: WorkflowHandle): Promise<FlowOutcome> {
  try {
    const output: Json | undefined = await handle.result();
    return { status: 'Completed', output: output ?? null };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    return outcomeOfFailure(error.cause ?? error);
  }
}

/** The outcome that a failed workflow's cause stands for. */
export function outcomeOfFailure(cause: Error): FlowOutcome {
  if (cause instanceof CancelledFailure) return { status: 'Cancelled', error: cancelled('the flow was cancelled') };
  if (cause instanceof TerminatedFailure) {
    return { status: 'Terminated', error: cancelled(`the flow was terminated: ${cause.message}`) };
  }
  if (cause instanceof TimeoutFailure) {
    const detail = 'the flow took longer than the timeout that it was started with';
    return { status: 'TimedOut', error: flowErrorToJson(flowErrorData('BLW_STEP_TIMEOUT', detail)) };
  }
  return { status: 'Failed', error: failureToJson(cause) };
}

/** The error that a failure carries; a failure that is not the project's own keeps at least its message. */
export function failureToJson(cause: Error): JsonObject {
  const details: unknown = cause instanceof ApplicationFailure ? cause.details?.[0] : undefined;
  if (isJsonObject(details) && typeof details.type === 'string') return details;
  const code = cause instanceof ApplicationFailure && cause.type ? { code: cause.type } : {};
  return { type: 'about:blank', status: 500, detail: cause.message, ...code };
}

function cancelled(detail: string): JsonObject {
  return flowErrorToJson(flowErrorData('BLW_CANCELLED', detail));
}
