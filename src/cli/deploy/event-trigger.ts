import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { BusOverview } from '../../dsl/events/bus-messages';
import { EVENT_BUS, eventBusId, SUBSCRIPTIONS_QUERY, TRIGGER_SIGNAL, UNTRIGGER_SIGNAL } from '../../dsl/names';
import { isSilence } from '../no-answer';
import type { Deployment, DeploymentKey } from './deployment';

/** A bus answers within milliseconds where a worker is there; a deployment needs none. */
const QUERY_TIMEOUT_MS = 3_000;

/** `on`: tells the tenant's event bus which events start the flow; starts the bus where it does not run. */
export async function putTrigger(client: Client, deployment: Deployment): Promise<void> {
  const { tenant, triggerId, taskQueue, start, schedule, language, triggerGrant: grant } = deployment;
  const { on, read } = schedule;
  const optional = { ...(read === undefined ? {} : { read }), ...(grant === undefined ? {} : { grant }) };
  await client.workflow.signalWithStart(EVENT_BUS, {
    workflowId: eventBusId(taskQueue, tenant),
    taskQueue,
    signal: TRIGGER_SIGNAL,
    signalArgs: [{ id: triggerId, flow: start.flow, on, language, ...optional }],
    staticSummary: `Events of tenant ${tenant}`,
  });
}

/** Whether the bus has it; `unknown` where no worker answers for the bus, or it is not done with what came before. */
export type TriggerState = 'there' | 'absent' | 'unknown';

/** Asks the tenant's event bus for the trigger of a flow. */
export async function findTrigger(
  client: Client,
  { triggerId, tenant, taskQueue }: DeploymentKey,
): Promise<TriggerState> {
  const bus = client.workflow.getHandle(eventBusId(taskQueue, tenant));
  try {
    const query = () => bus.query<BusOverview>(SUBSCRIPTIONS_QUERY);
    const { triggers, pending } = await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, query);
    if (triggers.some(({ id }) => id === triggerId)) return 'there';
    return pending > 0 ? 'unknown' : 'absent';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'absent';
    if (isSilence(error)) return 'unknown';
    throw error;
  }
}

/** Takes a flow off the tenant's event bus, if there is one and it has it: a bus that did not answer in time may not. */
export async function removeTrigger(client: Client, { triggerId, tenant, taskQueue }: DeploymentKey): Promise<void> {
  try {
    const bus = client.workflow.getHandle(eventBusId(taskQueue, tenant));
    await bus.signal(UNTRIGGER_SIGNAL, { id: triggerId, ifMissing: 'ignore' });
  } catch (error) {
    // There is no bus, or it has ended: nothing is registered.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
