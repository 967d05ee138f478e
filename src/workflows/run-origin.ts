import { workflowInfo } from '@temporalio/workflow';
import type { RunOrigin } from '../dsl/start';

/** Which run this is, in the server's words: nobody who starts a workflow can choose them. */
export function runOrigin(): RunOrigin {
  const { firstExecutionRunId: firstRunId, runStartTime, parent } = workflowInfo();
  return {
    firstRunId,
    startedAt: runStartTime.getTime(),
    ...(parent === undefined ? {} : { parent: { workflowId: parent.workflowId, runId: parent.runId } }),
  };
}
