import type { Client, ScheduleSummary } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { FlowError } from '../../dsl/errors';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { REPEAT_FLOW, SCHEDULE_ID_PREFIX } from '../../dsl/names';
import { mapBounded } from '../bounded';
import { decodePayload } from '../history-events';
import { unreadableError } from '../unreadable-flow';
import { chainState } from './repeat-chain';
import { describe } from './scheduled-runs';

/** Descriptions that are asked for at a time. */
const DESCRIPTIONS_AT_ONCE = 8;

/** What runs a flow by itself. */
export interface DeployedFlow {
  readonly id: string;
  readonly kind: 'schedule' | 'repeat';
  readonly tenant: string;
  /** `namespace/name:version`, and when it runs; as far as it is known. */
  readonly flow: string;
  readonly when: string;
  /** Absent where it cannot be read. */
  readonly isPaused?: boolean;
  /** Time of the next run, where it has one. */
  readonly next?: Date;
  /** Why not all of it can be read here: a key that is missing. */
  readonly unreadable?: FlowError;
}

/** All schedules and chains that were deployed, in the order of their ids. Triggers are known to the event bus alone. */
export async function listDeployed(client: Client, tenant: string | undefined): Promise<DeployedFlow[]> {
  const prefix = tenant === undefined ? SCHEDULE_ID_PREFIX : `${SCHEDULE_ID_PREFIX}${tenant}:`;
  const summaries: ScheduleSummary[] = [];
  for await (const summary of client.schedule.list())
    if (summary.scheduleId.startsWith(prefix)) summaries.push(summary);
  const schedules = await mapBounded(summaries, DESCRIPTIONS_AT_ONCE, (summary) => scheduleOf(client, summary));
  const found = [...schedules.flat(), ...(await chains(client, prefix))];
  return found.sort((left, right) => (left.id < right.id ? -1 : 1));
}

/** Empty where it has been deleted since it was listed. */
async function scheduleOf(client: Client, { scheduleId: id }: ScheduleSummary): Promise<DeployedFlow[]> {
  try {
    const description = await describe(client, id);
    if (description === undefined) return [];
    const { action, state, info } = description;
    const [next] = info.nextActionTimes;
    const deployed: unknown = action.memo?.deployed;
    return [
      {
        ...factsOf(id, isJsonObject(deployed) ? deployed : {}),
        kind: 'schedule',
        isPaused: state.paused,
        ...(next === undefined || state.paused ? {} : { next }),
      },
    ];
  } catch (error) {
    const unreadable = unreadableError(error);
    if (unreadable === undefined) throw error;
    return [{ ...(await readableSchedule(client, id)), unreadable }];
  }
}

/** What Temporal itself knows of a schedule: its note, which is not encrypted, and its times. */
async function readableSchedule(client: Client, id: string): Promise<DeployedFlow> {
  const { namespace } = client.options;
  const { schedule, info } = await client.workflowService.describeSchedule({ namespace, scheduleId: id });
  const [, flow = null, when = null] = /^([^,]+), (.*)$/s.exec(schedule?.state?.notes ?? '') ?? [];
  const isPaused = schedule?.state?.paused === true;
  const [next] = info?.futureActionTimes ?? [];
  return {
    ...factsOf(id, { flow, when }),
    kind: 'schedule',
    isPaused,
    ...(next == null || isPaused ? {} : { next: new Date(Number(next.seconds) * 1_000) }),
  };
}

async function chains(client: Client, prefix: string): Promise<DeployedFlow[]> {
  const found: DeployedFlow[] = [];
  const { namespace } = client.options;
  const query = `WorkflowType = '${REPEAT_FLOW}' AND ExecutionStatus = 'Running'`;
  let nextPageToken: Uint8Array | undefined;
  do {
    // Not the client's own list, which ends at the first memo that cannot be read.
    const request = { namespace, query, ...(nextPageToken === undefined ? {} : { nextPageToken }) };
    const page = await client.workflowService.listWorkflowExecutions(request);
    for (const { execution, memo } of page.executions ?? []) {
      const id = execution?.workflowId ?? '';
      if (id.startsWith(prefix)) found.push(await chainOf(client, id, memo?.fields ?? {}));
    }
    nextPageToken = page.nextPageToken ?? undefined;
  } while (nextPageToken !== undefined && nextPageToken.length > 0);
  return found;
}

async function chainOf(client: Client, id: string, memo: Readonly<Record<string, Payload>>): Promise<DeployedFlow> {
  try {
    const [deployed, paused] = await Promise.all(
      [memo.deployed, memo.paused].map((payload) => decodePayload(client, id, payload)),
    );
    const state = chainState({ deployed, paused });
    return { ...factsOf(id, state.deployed), kind: 'repeat', isPaused: state.isPaused };
  } catch (error) {
    const unreadable = unreadableError(error);
    if (unreadable === undefined) throw error;
    return { ...factsOf(id, {}), kind: 'repeat', unreadable };
  }
}

function factsOf(id: string, { flow, when }: JsonObject): Pick<DeployedFlow, 'id' | 'tenant' | 'flow' | 'when'> {
  const [, tenant = '', name = ''] = /^beamline:([^:]*):(.*)$/.exec(id) ?? [];
  return { id, tenant, flow: typeof flow === 'string' ? flow : name, when: typeof when === 'string' ? when : '?' };
}
