import { workflowInfo } from '@temporalio/workflow';
import type { RunOrigin } from '../dsl/start';

/** Which run this is, in the server's words: nobody who starts a workflow can choose them. */
export function runOrigin(): RunOrigin {
  const {
    firstExecutionRunId: firstRunId,
    continuedFromExecutionRunId,
    startTime,
    runStartTime,
    parent,
  } = workflowInfo();
  // What the SDK calls the run's start is the first workflow task that a worker got, in a run that was reset the one after the reset.
  const startedAt = continuedFromExecutionRunId === undefined ? startTime : runStartTime;
  return {
    firstRunId,
    startedAt: startedAt.getTime(),
    ...(parent === undefined ? {} : { parent: { workflowId: parent.workflowId, runId: parent.runId } }),
  };
}
