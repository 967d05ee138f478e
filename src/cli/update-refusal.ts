import { ApplicationFailure, WorkflowUpdateFailedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { ErrorCode } from '../dsl/error-codes';
import { FlowError, type FlowErrorData, flowError } from '../dsl/errors';
import { CommandError } from './command-error';
import { EXIT } from './exit-codes';
import { failureToJson } from './flow-outcome';
import { ANSWER_TIMEOUT_MS, isSilence, noAnswer } from './no-answer';

/**
 * Why an update did not do what it should, as an error of the command with exit code 1: what the workflow says against it, that it has ended
 * (`ended`), or that no worker answers (`helpIfSilent`: how to find out whether it was done after all). Any other error stays what it is.
 */
export function updateRefusal(
  error: unknown,
  {
    taskQueue,
    ended,
    helpIfSilent,
  }: {
    readonly taskQueue: string;
    readonly ended: { readonly code: ErrorCode; readonly detail: string };
    readonly helpIfSilent: string;
  },
): unknown {
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    const data = failureToJson(error.cause) as unknown as FlowErrorData;
    return new CommandError(new FlowError(data, { cause: error }), EXIT.failed);
  }
  if (error instanceof WorkflowNotFoundError) {
    return new CommandError(flowError(ended.code, ended.detail, { cause: error }), EXIT.failed);
  }
  return isSilence(error) ? noAnswer(error, { taskQueue, timeoutMs: ANSWER_TIMEOUT_MS, help: helpIfSilent }) : error;
}
