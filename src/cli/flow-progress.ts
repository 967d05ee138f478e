import { type Client, isGrpcServiceError, QueryNotRegisteredError } from '@temporalio/client';
import { flowError } from '../dsl/errors';
import { PROGRESS_QUERY } from '../dsl/names';
import type { FlowProgress } from '../dsl/progress';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { isSilence, noAnswer } from './no-answer';

/** A run that has ended may have to be replayed in full before it answers. */
const ANSWER_TIMEOUT_MS = 20_000;

/**
 * Asks a run once how far it is. Throws BLW_TEMPORAL_UNREACHABLE, with exit code 1, where no worker answers in time, or one
 * answers that it cannot rebuild the flow.
 */
export async function queryProgress(
  client: Client,
  { workflowId, runId, taskQueue }: { workflowId: string; runId: string; taskQueue: string },
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<FlowProgress> {
  try {
    return await client.withDeadline(Date.now() + timeoutMs, () =>
      client.workflow.getHandle(workflowId, runId).query<FlowProgress>(PROGRESS_QUERY),
    );
  } catch (error) {
    const reason = replayFailure(error);
    if (reason !== undefined) {
      const detail = `the worker of ${taskQueue} cannot go on with "${workflowId}": ${reason}`;
      const help = "The worker's log says more, and so does the failed workflow task in Temporal's UI.";
      throw new CommandError(flowError('BLW_TEMPORAL_UNREACHABLE', detail, { cause: error }), EXIT.failed, help);
    }
    throw isSilence(error) ? noAnswer(error, { taskQueue, timeoutMs }) : error;
  }
}

/** Why a worker cannot rebuild the workflow: it says so itself, or its workflow task fails again and again. */
function replayFailure(error: unknown): string | undefined {
  // All flows know the query: the SDK calls every failure of one so.
  if (error instanceof QueryNotRegisteredError) return error.message.split('\n')[0];
  const cause = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  const isStuck = isGrpcServiceError(cause) && /workflow task in failed state/i.test(cause.details);
  return isStuck ? 'its workflow task fails again and again' : undefined;
}
