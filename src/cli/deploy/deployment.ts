import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../dsl/json';
import { scheduleId, taskQueueOf } from '../../dsl/names';
import { shortText } from '../../dsl/problems';
import type { FlowSchedule } from '../../dsl/schedule/schedule';
import type { StartInput } from '../../dsl/start';

/** A flow that is to run by itself. */
export interface Deployment extends DeploymentKey {
  /** `namespace/name:version` */
  readonly flow: string;
  /** Of the flow's expressions. */
  readonly language: string;
  readonly schedule: FlowSchedule;
  /** Start input of each run; where it is authorized, with a grant. */
  readonly start: StartInput;
  /** Likewise that of the runs which events start. */
  readonly triggerGrant?: string;
  /** Workflow ids of the runs are this and the time of the run. */
  readonly workflowId: string;
  /** What is remembered of it, to say at the next time what changed: text by name. */
  readonly deployed: Readonly<Record<string, string>>;
}

/** Where a deployment stands: that of a flow, whatever its version is. */
export interface DeploymentKey {
  /** Of the Temporal schedule, or of the workflow that repeats the flow; the same for every version of the flow. */
  readonly id: string;
  /** Of the trigger, among those of the tenant. */
  readonly triggerId: string;
  readonly tenant: string;
  readonly taskQueue: string;
}

/** Ids of what runs a flow by itself. */
export function deploymentKey(tenant: string, flow: string, queuePrefix: string): DeploymentKey {
  const [, namespace = '', name = ''] = /^([^/]+)\/([^:]+)/.exec(flow) ?? [];
  return {
    id: scheduleId(tenant, namespace, name),
    triggerId: `${namespace}/${name}`,
    tenant,
    taskQueue: taskQueueOf(queuePrefix, 'io'),
  };
}

/** Puts a deployment together. `flow` is the name with the version; the start has the document or the name that was given. */
export function makeDeployment(
  start: StartInput,
  {
    flow,
    language,
    schedule,
    queuePrefix,
  }: { flow: string; language: string; schedule: FlowSchedule; queuePrefix: string },
): Deployment {
  const key = deploymentKey(start.tenant, flow, queuePrefix);
  return {
    ...key,
    flow,
    language,
    schedule,
    start,
    workflowId: `${start.tenant}/${flow.replace(/:.*$/, '')}`,
    deployed: remembered(start, { flow, schedule, taskQueue: key.taskQueue }),
  };
}

function remembered(
  { flow: document, input, priorityKey, requestedBy }: StartInput,
  { flow, schedule, taskQueue }: { flow: string; schedule: FlowSchedule; taskQueue: string },
): Record<string, string> {
  const isTimed = schedule.everyMs !== undefined || schedule.cron !== undefined;
  const facts: Record<string, string | undefined> = {
    flow,
    document: typeof document === 'string' ? `${document} of the catalog` : digest(document),
    when: timingOf(schedule),
    overlap: isTimed ? schedule.overlap : undefined,
    catchupWindow: isTimed ? exactDuration(schedule.catchupWindowMs) : undefined,
    input: input === null ? undefined : brief(input),
    priority: priorityKey?.toString(),
    requestedBy,
    taskQueue,
  };
  return Object.fromEntries(Object.entries(facts).filter((fact): fact is [string, string] => fact[1] !== undefined));
}

/** `cron "0 7 * * *" (UTC)`, `every 5 min`, `10 min after it has ended`, `on events`. */
export function timingOf({ everyMs, cron, afterMs, on, timezone }: FlowSchedule): string {
  return [
    ...(everyMs === undefined ? [] : [`every ${exactDuration(everyMs)}`]),
    ...(cron === undefined ? [] : [`cron "${cron}" (${timezone})`]),
    ...(afterMs === undefined ? [] : [`${exactDuration(afterMs)} after it has ended`]),
    ...(on === undefined ? [] : [`on events ${brief(on)}`]),
  ].join(' and ');
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** `1 h 30 min`: every unit that there is some of, so that two that differ look different. */
function exactDuration(ms: number): string {
  let rest = ms;
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(' ') || '0 s';
}

/** Short values as they are, so that a difference can be seen; long ones by their beginning and their digest. */
function brief(value: Json): string {
  const text = JSON.stringify(value);
  return text.length <= MAX_BRIEF_LENGTH ? text : `${shortText(text, MAX_BRIEF_LENGTH)} (${digest(value)})`;
}

const MAX_BRIEF_LENGTH = 120;

function digest(value: Json): string {
  return `sha256:${createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)}`;
}

/** What is different from the last time, as `name: before → now`. */
export function changesOf(before: JsonObject, now: Readonly<Record<string, string>>): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((name) => {
    const [from, to] = [before[name], now[name]];
    return from === to ? [] : [`${name}: ${from === undefined ? 'none' : String(from)} → ${to ?? 'none'}`];
  });
}
