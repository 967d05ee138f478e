import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { EVENT_BUS, eventBusId, TRIGGER_SIGNAL, UNTRIGGER_SIGNAL } from '../../dsl/names';
import type { Deployment, DeploymentKey } from './deployment';

/** `on`: tells the tenant's event bus which events start the flow; starts the bus where it does not run. */
export async function putTrigger(client: Client, deployment: Deployment): Promise<void> {
  const { id, tenant, taskQueue, start, schedule, workflowId } = deployment;
  const { flow, priorityKey, requestedBy } = start;
  const { on, read } = schedule;
  await client.workflow.signalWithStart(EVENT_BUS, {
    workflowId: eventBusId(tenant),
    taskQueue,
    args: [{ tenant }],
    signal: TRIGGER_SIGNAL,
    signalArgs: [
      {
        id,
        flow,
        on,
        workflowId,
        ...(read === undefined ? {} : { read }),
        ...(priorityKey === undefined ? {} : { priorityKey }),
        ...(requestedBy === undefined ? {} : { requestedBy }),
      },
    ],
    staticSummary: `events of ${tenant}`,
  });
}

/** Takes a flow off the tenant's event bus, if there is a bus. */
export async function removeTrigger(client: Client, { id, tenant }: DeploymentKey): Promise<void> {
  try {
    await client.workflow.getHandle(eventBusId(tenant)).signal(UNTRIGGER_SIGNAL, { id });
  } catch (error) {
    // There is no bus, or it has ended: nothing is registered.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
