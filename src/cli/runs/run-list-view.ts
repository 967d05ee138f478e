import { formatDuration } from '../../dsl/durations';
import type { JsonObject } from '../../dsl/json';
import { printable, type Style } from '../output';
import { formatTable } from '../table';
import type { ListedRun } from './list-runs';

const HEADER = ['ID', 'FLOW', 'TENANT', 'STATUS', 'STARTED', 'DURATION', 'WAITS FOR'];

/** The table of `runs list`. */
export function runTable(runs: readonly ListedRun[], now: number, style: Style): string[] {
  return formatTable(
    HEADER,
    runs.map((run) => rowOf(run, now).map(printable)),
    style,
  );
}

function rowOf(run: ListedRun, now: number): string[] {
  const { workflowId, flow = '', tenant = '', status, startedAt, closedAt } = run;
  const ms = Math.max(0, (closedAt?.getTime() ?? now) - startedAt.getTime());
  return [workflowId, flow, tenant, status, momentOf(startedAt), formatDuration(ms), waitOf(run)];
}

/** What somebody, or something, has to do before it goes on; empty where nothing is known to be. */
function waitOf({ status, flow, block }: ListedRun): string {
  if (status === 'AwaitingApproval') return 'a decision';
  if (status === 'AwaitingQuota') return 'a quota';
  if (status === 'DeadLettered') return `a dead letter${block === undefined ? '' : ` (${block})`}`;
  return status === 'Running' && flow === undefined ? 'a worker' : '';
}

/** A moment for people, to the second, in UTC. */
export function momentOf(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** What scripts read of a flow in the list. */
export function runToJson(run: ListedRun): JsonObject {
  const { startedAt, closedAt, ...rest } = run;
  return {
    ...rest,
    startedAt: startedAt.toISOString(),
    ...(closedAt === undefined ? {} : { closedAt: closedAt.toISOString() }),
  };
}
