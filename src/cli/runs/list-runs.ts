import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { RUN_FLOW, SEARCH_ATTRIBUTES } from '../../dsl/names';
import { quote } from '../approval-client';
import { attributeOf } from '../flow-attributes';
import { flowConditions } from '../flow-filter';
import { isDryRun } from './dry-runs';
import { type ShownStatus, type StatusFilter, shownStatus, statusCondition, wantedKinds } from './run-status';

/** Which flows are meant; what is absent leaves none out. */
export interface RunFilter {
  readonly tenant?: string;
  /** `namespace/name`, or with `:version`. */
  readonly flow?: string;
  readonly status?: readonly StatusFilter[];
  /** Dry runs, and no live flows; absent: only those that `status` asks for. */
  readonly dryRuns?: boolean;
  /** Block that a flow waits at: `human.approval`, or that of a dead letter. */
  readonly block?: string;
  /** When they were started, in ms since 1970. */
  readonly startedAfter?: number;
  readonly startedBefore?: number;
  /** A query in Temporal's own words, which has to hold as well. */
  readonly query?: string;
}

/** A flow, as Temporal's list has it: no worker is asked. */
export interface ListedRun {
  readonly workflowId: string;
  readonly runId: string;
  /** Absent where no worker has taken it up yet. */
  readonly flow?: string;
  readonly tenant?: string;
  readonly status: ShownStatus;
  /** What it waits at. */
  readonly block?: string;
  readonly startedAt: Date;
  readonly closedAt?: Date;
  /** Of a flow that another one runs. */
  readonly parentId?: string;
}

/** Flows that match, as Temporal's lists are asked for them. */
export function runsQuery({
  status = [],
  dryRuns = false,
  block,
  startedAfter,
  startedBefore,
  query,
  ...flow
}: RunFilter): string {
  return [
    `WorkflowType = ${quote(RUN_FLOW)}`,
    statusCondition(status, dryRuns),
    ...flowConditions(flow),
    ...(block === undefined ? [] : [`${SEARCH_ATTRIBUTES.block} = ${quote(block)}`]),
    ...(startedAfter === undefined ? [] : [`StartTime >= ${quote(new Date(startedAfter).toISOString())}`]),
    ...(startedBefore === undefined ? [] : [`StartTime <= ${quote(new Date(startedBefore).toISOString())}`]),
    ...(query === undefined ? [] : [`(${query})`]),
  ].join(' AND ');
}

/**
 * Flows that match, and whether there are more than `limit`. In the order of Temporal's lists: open ones first, the newest at the top,
 * then those that ended last.
 */
export async function listRuns(
  client: Client,
  filter: RunFilter,
  limit: number,
): Promise<{ runs: readonly ListedRun[]; hasMore: boolean }> {
  const { status = [], dryRuns = false } = filter;
  const wanted = wantedKinds(status, dryRuns);
  const runs: ListedRun[] = [];
  for await (const info of client.workflow.list({ query: runsQuery(filter), pageSize: limit + 1 })) {
    // What no worker has taken up yet says nothing that a query could ask for.
    if (!(isDryRun(info) ? wanted.dryRuns : wanted.live)) continue;
    runs.push(listed(info));
    if (runs.length > limit) break;
  }
  return { runs: runs.slice(0, limit), hasMore: runs.length > limit };
}

function listed(info: WorkflowExecutionInfo): ListedRun {
  const { workflowId, runId, startTime, closeTime, parentExecution } = info;
  const [flow, tenant, block] = [attributeOf(info, 'flow'), attributeOf(info, 'tenant'), attributeOf(info, 'block')];
  return {
    workflowId,
    runId,
    status: shownStatus(info),
    startedAt: startTime,
    ...(flow === undefined ? {} : { flow }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(block === undefined ? {} : { block }),
    ...(closeTime === undefined ? {} : { closedAt: closeTime }),
    ...(parentExecution?.workflowId == null ? {} : { parentId: parentExecution.workflowId }),
  };
}
