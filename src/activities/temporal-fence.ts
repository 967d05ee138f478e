import type { Context } from '@temporalio/activity';
import { isGrpcServiceError } from '@temporalio/client';
import { AttemptFence, CONFIRM_PATIENCE_MS, type Fence, type FreshUntil, freshFor, outdated } from './fence';
import type { Heartbeat } from './heartbeat';
import { TooLate, within } from './within';

/** Part of the time after which Temporal gives an attempt up; what is left is for the effect to get to where it takes place. */
const FRESH_SHARE = 0.5;

/** gRPC's code for a task that is nobody's any more. */
const NOT_FOUND = 5;

/**
 * The fence of an attempt. It is fresh for half of the silence after which Temporal gives it up (`heartbeat`, or its own timeout
 * where that is shorter), counted from when Temporal scheduled it: a worker that stood still may have got it late. After that, or where a clock says so,
 * Temporal is asked by a heartbeat that is awaited, whose answer counts from when it was asked for.
 */
export function createFence(temporal: Context, beat: Heartbeat): Fence {
  const { heartbeatTimeoutMs, startToCloseTimeoutMs, currentAttemptScheduledTimestampMs } = temporal.info;
  const limitMs = Math.min(heartbeatTimeoutMs || startToCloseTimeoutMs, startToCloseTimeoutMs);
  const windowMs = limitMs * FRESH_SHARE;
  const ageMs = Math.max(0, Date.now() - currentAttemptScheduledTimestampMs);
  const renew = async (): Promise<FreshUntil> => {
    // Nobody can be asked about a workflow task; the queue takes over.
    if (temporal.info.isLocal) throw outdated('it runs in place, where that cannot be found out');
    const until = freshFor(windowMs);
    await ask(temporal, beat);
    return until;
  };
  return new AttemptFence(freshFor(windowMs - ageMs), temporal.cancellationSignal, renew);
}

async function ask(temporal: Context, beat: Heartbeat): Promise<void> {
  const { namespace, taskToken } = temporal.info;
  const signal = temporal.cancellationSignal;
  try {
    // Without the details, which only the SDK can encrypt for their tenant.
    const request = { namespace, taskToken, identity: temporal.client.options.identity };
    const answer = await within(
      CONFIRM_PATIENCE_MS,
      temporal.client.workflowService.recordActivityTaskHeartbeat(request),
    );
    beat.repeat();
    if (!answer.cancelRequested && !answer.activityPaused && !answer.activityReset) return;
  } catch (error) {
    signal.throwIfAborted();
    if (isGrpcServiceError(error) && error.code === NOT_FOUND) {
      throw outdated('Temporal has given it up meanwhile', error);
    }
    throw outdated(error instanceof TooLate ? 'Temporal does not answer' : 'Temporal cannot be asked', error);
  }
  await stopped(signal);
}

/** The step is to stop, which the SDK learns with its next heartbeat, and then says why. */
async function stopped(signal: AbortSignal): Promise<never> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await within(CONFIRM_PATIENCE_MS, aborted);
  } catch (error) {
    throw error instanceof TooLate ? outdated('Temporal has told it to stop') : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
