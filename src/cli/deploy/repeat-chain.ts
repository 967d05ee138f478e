import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { CONFIGURE_SIGNAL, REPEAT_FLOW } from '../../dsl/names';
import type { RepeatRequest } from '../../dsl/schedule/repeat';
import { describeRun } from '../describe-run';
import type { Deployment } from './deployment';
import type { Existing, Runner } from './runner';

/**
 * `after`: a workflow that runs the flow again once it has ended; Temporal's schedules have no such thing. Its id makes it the
 * only one of the flow, and starting it by a signal makes deploying twice the same as deploying once.
 */
export const repeatChain: Runner = {
  kind: 'repeat',
  isFor: ({ schedule }) => schedule.afterMs !== undefined,
  find: async (client, { id }) => {
    const description = await describeRunning(client, id);
    return description === undefined ? undefined : chainState(description.memo);
  },
  put: async (client, deployment, { isPaused }) => {
    await client.workflow.signalWithStart(REPEAT_FLOW, {
      workflowId: deployment.id,
      taskQueue: deployment.taskQueue,
      args: [],
      signal: CONFIGURE_SIGNAL,
      signalArgs: [requestOf(deployment, isPaused)],
      staticSummary: `repeats ${deployment.flow}`,
    });
  },
  // A run that is under way goes on: its parent's end is nothing to it.
  remove: async (client, { id }) => {
    if ((await describeRunning(client, id)) === undefined) return;
    await client.workflow.getHandle(id).terminate('deleted with beamline deploy');
  },
};

async function describeRunning(client: Client, id: string): Promise<WorkflowExecutionDescription | undefined> {
  const description = await describeRun(client, { workflowId: id });
  return description?.status.name === 'RUNNING' && description.type === REPEAT_FLOW ? description : undefined;
}

/** What a chain remembers; a worker writes it down when it gets to it. */
export function chainState(memo: Record<string, unknown> | undefined): Existing {
  return { deployed: isJsonObject(memo?.deployed) ? memo.deployed : {}, isPaused: memo?.paused === true };
}

function requestOf(deployment: Deployment, isPaused: boolean | undefined): RepeatRequest {
  const { start, flow, tenant, workflowId, schedule, deployed } = deployment;
  return {
    start: start as unknown as JsonObject,
    flow,
    tenant,
    workflowId,
    afterMs: schedule.afterMs ?? 0,
    deployed: { ...deployed },
    ...(isPaused === undefined ? {} : { paused: isPaused }),
  };
}
