import type { Client } from '@temporalio/client';

/** Newest events that are looked at: of a workflow task that fails, the first failure is among them. */
const NEWEST_EVENTS = 20;

/** A workflow task that fails, and that Temporal tries again. */
export interface FailingTask {
  readonly attempt: number;
  /** Why its first attempt failed, as the worker said; absent where it is not in the history. */
  readonly reason?: string;
}

/** The flow's workflow task where it has failed and is tried again; undefined: none has. */
export async function findFailingTask(client: Client, workflowId: string): Promise<FailingTask | undefined> {
  const { namespace } = client.options;
  const { workflowService } = client;
  // Not by a handle, which reads the memo, too: that may be encrypted with a key that is not here.
  const request = { namespace, execution: { workflowId, runId: '' } };
  const { pendingWorkflowTask } = await workflowService.describeWorkflowExecution(request);
  const attempt = pendingWorkflowTask?.attempt ?? 1;
  if (attempt < 2) return undefined;
  const page = { ...request, maximumPageSize: NEWEST_EVENTS };
  const { history } = await workflowService.getWorkflowExecutionHistoryReverse(page);
  // Temporal records the first of several failures in a row, and none of the later ones.
  for (const {
    workflowTaskFailedEventAttributes: failed,
    workflowTaskCompletedEventAttributes: done,
  } of history?.events ?? []) {
    if (done != null) break;
    const reason = failed?.failure?.message;
    if (reason) return { attempt, reason };
  }
  return { attempt };
}
