import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { EVENT_BUS, eventBusId, TRIGGER_SIGNAL, UNTRIGGER_SIGNAL } from '../../dsl/names';
import type { Deployment, DeploymentKey } from './deployment';

/** `on`: tells the tenant's event bus which events start the flow; starts the bus where it does not run. */
export async function putTrigger(client: Client, deployment: Deployment): Promise<void> {
  const { tenant, triggerId, taskQueue, start, schedule, language } = deployment;
  const { on, read } = schedule;
  await client.workflow.signalWithStart(EVENT_BUS, {
    workflowId: eventBusId(taskQueue, tenant),
    taskQueue,
    signal: TRIGGER_SIGNAL,
    signalArgs: [{ id: triggerId, flow: start.flow, on, language, ...(read === undefined ? {} : { read }) }],
    staticSummary: `Events of tenant ${tenant}`,
  });
}

/** Takes a flow off the tenant's event bus, if there is a bus. */
export async function removeTrigger(client: Client, { triggerId, tenant, taskQueue }: DeploymentKey): Promise<void> {
  try {
    await client.workflow.getHandle(eventBusId(taskQueue, tenant)).signal(UNTRIGGER_SIGNAL, { id: triggerId });
  } catch (error) {
    // There is no bus, or it has ended: nothing is registered.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
