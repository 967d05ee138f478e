import type { Client, ScheduleSummary } from '@temporalio/client';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { REPEAT_FLOW, SCHEDULE_ID_PREFIX } from '../../dsl/names';
import { mapBounded } from '../bounded';
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
  readonly isPaused: boolean;
  /** Time of the next run, where it has one. */
  readonly next?: Date;
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
}

async function chains(client: Client, prefix: string): Promise<DeployedFlow[]> {
  const found: DeployedFlow[] = [];
  const query = `WorkflowType = '${REPEAT_FLOW}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId, memo } of client.workflow.list({ query })) {
    if (!workflowId.startsWith(prefix)) continue;
    const { deployed, isPaused } = chainState(memo);
    found.push({ ...factsOf(workflowId, deployed), kind: 'repeat', isPaused });
  }
  return found;
}

function factsOf(id: string, { flow, when }: JsonObject): Pick<DeployedFlow, 'id' | 'tenant' | 'flow' | 'when'> {
  const [, tenant = '', name = ''] = /^beamline:([^:]*):(.*)$/.exec(id) ?? [];
  return { id, tenant, flow: typeof flow === 'string' ? flow : name, when: typeof when === 'string' ? when : '?' };
}
