import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { usageError } from './command-error';

/** A run of a workflow; without its run id the newest. */
interface RunReference {
  readonly workflowId: string;
  readonly runId?: string | undefined;
}

/** The run, as Temporal describes it; undefined where there is none. */
export async function describeRun(
  client: Client,
  { workflowId, runId }: RunReference,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** BLW_USAGE: there is no such flow. */
export function unknownFlow({ workflowId, runId }: RunReference): Error {
  const which = runId === undefined ? `the id "${workflowId}"` : `the id "${workflowId}" and the run id "${runId}"`;
  return usageError(`there is no flow with ${which}`, {
    help: "`beamline runs list` has those that there are; ended ones are kept for the namespace's retention.",
  });
}
