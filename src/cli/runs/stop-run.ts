import type { Client } from '@temporalio/client';
import { usageError } from '../command-error';
import { describeRun, unknownFlow } from '../describe-run';
import { refuseOtherTypes } from '../observed-run';
import { isOpen, shownStatus } from './run-status';

/** Asks a flow to end, or ends it. The run id says which run was meant, so that no other one under the same id is hit. */
export interface StopRequested {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * Asks a flow to end in good order: it undoes its steps where they have compensations, and ends as cancelled. Throws BLW_USAGE where there
 * is no such flow, or it has ended.
 */
export async function cancelRun(client: Client, workflowId: string, reason: string): Promise<StopRequested> {
  const execution = await openRun(client, workflowId);
  await client.workflowService.requestCancelWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: execution,
    identity: client.options.identity,
    reason,
  });
  return execution;
}

/** Ends a flow where it stands, and nothing is undone. Throws as {@link cancelRun}. */
export async function terminateRun(client: Client, workflowId: string, reason: string): Promise<StopRequested> {
  const execution = await openRun(client, workflowId);
  await client.workflow.getHandle(workflowId, execution.runId).terminate(reason);
  return execution;
}

async function openRun(client: Client, workflowId: string): Promise<StopRequested> {
  const description = await describeRun(client, { workflowId });
  if (description === undefined) throw unknownFlow({ workflowId });
  refuseOtherTypes(description, 'runs cancel');
  const { runId } = description;
  const status = shownStatus(description);
  if (isOpen(status)) return { workflowId, runId };
  throw usageError(`the flow "${workflowId}" has ended (${status}); there is nothing to stop`, {
    help: 'See `beamline runs list --status open` for those that run.',
  });
}
