import { type Client, isGrpcServiceError, QueryNotRegisteredError } from '@temporalio/client';
import { flowError } from '../dsl/errors';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { ANSWER_TIMEOUT_MS, isSilence, noAnswer } from './no-answer';

/** Whom a query goes to. */
export interface QueriedRun {
  readonly workflowId: string;
  /** Absent: the current one. */
  readonly runId?: string;
  readonly taskQueue: string;
}

/** A run that its workers cannot go on with, whereas they may answer for others. */
export class StuckRunError extends CommandError {
  constructor({ workflowId, taskQueue }: QueriedRun, reason: string, cause: unknown) {
    const detail = `the worker of ${taskQueue} cannot go on with "${workflowId}": ${reason}`;
    const help = "The worker's log says more, and so does the failed workflow task in Temporal's UI.";
    super(flowError('BLW_TEMPORAL_UNREACHABLE', detail, { cause }), EXIT.failed, help);
  }
}

/**
 * Asks a run, once, a query that all of its kind know. Throws BLW_TEMPORAL_UNREACHABLE, with exit code 1, where no worker answers in time, and
 * {@link StuckRunError} where one answers that it cannot rebuild the run.
 */
export async function queryRun<Answer, Args extends unknown[] = []>(
  client: Client,
  run: QueriedRun,
  query: string,
  { args, timeoutMs = ANSWER_TIMEOUT_MS }: { args: Args; timeoutMs?: number },
): Promise<Answer> {
  const { workflowId, runId, taskQueue } = run;
  try {
    return await client.withDeadline(Date.now() + timeoutMs, () =>
      client.workflow.getHandle(workflowId, runId).query<Answer, Args>(query, ...args),
    );
  } catch (error) {
    const reason = replayFailure(error);
    if (reason !== undefined) throw new StuckRunError(run, reason, error);
    throw isSilence(error) ? noAnswer(error, { taskQueue, timeoutMs }) : error;
  }
}

/** Why a worker cannot rebuild the run: it says so itself, or its workflow task fails again and again. */
function replayFailure(error: unknown): string | undefined {
  // The SDK calls every failure of a query so.
  if (error instanceof QueryNotRegisteredError) return error.message.split('\n')[0];
  const cause = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  const isStuck = isGrpcServiceError(cause) && /workflow task in failed state/i.test(cause.details);
  return isStuck ? 'its workflow task fails again and again' : undefined;
}
