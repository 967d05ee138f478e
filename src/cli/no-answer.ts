import { isGrpcDeadlineError, isGrpcServiceError, WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import { flowError } from '../dsl/errors';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { startWorkerHint } from './worker-presence';

/** An answer takes milliseconds where a worker is there. */
export const ANSWER_TIMEOUT_MS = 10_000;

/** Status codes of gRPC for a query where the server knows of no worker, and where it gave up as the deadline passed. */
const FAILED_PRECONDITION = 9;
const CANCELLED = 1;

/** Temporal is there, but no worker to answer: the call ran into its deadline, or the server knows of no worker. */
export function isSilence(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error)) return true;
  const cause = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  return isGrpcServiceError(cause) && [FAILED_PRECONDITION, CANCELLED].includes(Number(cause.code));
}

/** The error for it, with exit code 1. */
export function noAnswer(
  cause: unknown,
  { taskQueue, timeoutMs, help }: { taskQueue: string; timeoutMs: number; help?: string },
): CommandError {
  const detail = `no worker of ${taskQueue} answered within ${timeoutMs / 1_000} s; ${startWorkerHint(taskQueue)}`;
  return new CommandError(flowError('BLW_TEMPORAL_UNREACHABLE', detail, { cause }), EXIT.failed, help);
}
