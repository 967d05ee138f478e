import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { isJsonObject } from '../../dsl/json';
import { RUN_FLOW } from '../../dsl/names';
import type { OverlapPolicy } from '../../dsl/schedule/schedule';
import { type Deployment, timingOf } from './deployment';
import type { Existing, Runner } from './runner';

/** `every` and `cron`: a schedule of Temporal's, which starts `runFlow`. */
export const scheduledRuns: Runner = {
  kind: 'schedule',
  isFor: ({ schedule }) => schedule.everyMs !== undefined || schedule.cron !== undefined,
  find: async (client, { id }) => {
    const description = await describe(client, id);
    return description === undefined ? undefined : existing(description);
  },
  put: async (client, deployment, { isPaused }) => {
    try {
      const { action, spec, policies } = definitionOf(deployment);
      const state = { paused: isPaused ?? false, note: noteOf(deployment) };
      await client.schedule.create({ scheduleId: deployment.id, action, spec, policies, state });
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await client.schedule.getHandle(deployment.id).update(({ state }) => ({
        ...definitionOf(deployment),
        state: { paused: isPaused ?? state.paused, note: noteOf(deployment) },
      }));
    }
  },
  remove: async (client, { id }) => {
    try {
      await client.schedule.getHandle(id).delete();
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  },
};

/** A schedule as Temporal knows it; undefined where there is none. */
export async function describe(client: Client, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

function existing({ action, state }: ScheduleDescription): Existing {
  const deployed: unknown = action.memo?.deployed;
  return { deployed: isJsonObject(deployed) ? deployed : {}, isPaused: state.paused };
}

type Definition = Pick<ScheduleOptions<ScheduleOptionsStartWorkflowAction<Workflow>>, 'action' | 'spec'> & {
  policies: NonNullable<ScheduleOptions['policies']>;
};

function definitionOf({ schedule, start, taskQueue, workflowId, deployed, flow }: Deployment): Definition {
  const { everyMs, cron, timezone, overlap, catchupWindowMs } = schedule;
  return {
    action: {
      type: 'startWorkflow',
      workflowType: RUN_FLOW,
      workflowId,
      taskQueue,
      args: [start],
      staticSummary: flow,
      memo: { deployed },
    },
    spec: {
      ...(everyMs === undefined ? {} : { intervals: [{ every: everyMs }] }),
      ...(cron === undefined ? {} : { cronExpressions: [cron] }),
      timezone,
    },
    policies: { overlap: OVERLAP[overlap], catchupWindow: catchupWindowMs },
  };
}

const OVERLAP: Readonly<Record<OverlapPolicy, ScheduleOverlapPolicy>> = {
  skip: ScheduleOverlapPolicy.SKIP,
  bufferOne: ScheduleOverlapPolicy.BUFFER_ONE,
  bufferAll: ScheduleOverlapPolicy.BUFFER_ALL,
  cancelOther: ScheduleOverlapPolicy.CANCEL_OTHER,
  terminateOther: ScheduleOverlapPolicy.TERMINATE_OTHER,
  allowAll: ScheduleOverlapPolicy.ALLOW_ALL,
};

/** What Temporal's UI shows. */
function noteOf({ flow, schedule }: Deployment): string {
  return `${flow}, ${timingOf(schedule)}`;
}
