import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { RUN_FLOW, SEARCH_ATTRIBUTES } from '../../dsl/names';
import { quote } from '../approval-client';
import { mapBounded } from '../bounded';
import { isUnreachable } from '../client-errors';
import { type FailureFilter, flowConditions } from '../flow-filter';
import { planRedrive, type RedrivePlan } from './plan-redrive';
import { Refusal } from './refusal';
import type { RedriveOptions } from './rewind';

const PLANS_AT_ONCE = 8;

/** A flow that failed, and how it can go on, or why it cannot. */
export interface FailedFlow {
  readonly workflowId: string;
  readonly runId: string;
  readonly flow?: string;
  readonly tenant?: string;
  readonly closedAt?: Date;
  readonly code?: string;
  readonly found: { readonly plan: RedrivePlan } | { readonly error: unknown };
}

/**
 * Flows that failed and have not been redriven or started again since, the newest first, and whether there are more than `limit`. Flows that
 * another one waited for are left out: that one is listed.
 */
export async function listFailedFlows(
  client: Client,
  filter: FailureFilter,
  { limit, ...options }: RedriveOptions & { readonly limit: number },
): Promise<{ flows: readonly FailedFlow[]; hasMore: boolean }> {
  const flows: FailedFlow[] = [];
  for await (const batch of batches(client.workflow.list({ query: queryOf(filter) }))) {
    const found = await mapBounded(batch, PLANS_AT_ONCE, (info) =>
      examine(client, info, { code: filter.code, options }),
    );
    flows.push(...found.filter((flow) => flow !== undefined));
    if (flows.length > limit) break;
  }
  return { flows: flows.slice(0, limit), hasMore: flows.length > limit };
}

function queryOf({ since, until, ...filter }: FailureFilter): string {
  return [
    `WorkflowType = ${quote(RUN_FLOW)}`,
    "ExecutionStatus = 'Failed'",
    `${SEARCH_ATTRIBUTES.status} = 'Failed'`,
    ...flowConditions(filter),
    ...(since === undefined ? [] : [`CloseTime >= ${quote(new Date(since).toISOString())}`]),
    ...(until === undefined ? [] : [`CloseTime <= ${quote(new Date(until).toISOString())}`]),
  ].join(' AND ');
}

async function* batches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < PLANS_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function examine(
  client: Client,
  { workflowId, runId, closeTime, searchAttributes = {} }: WorkflowExecutionInfo,
  { code: wanted, options }: { code: string | undefined; options: RedriveOptions },
): Promise<FailedFlow | undefined> {
  const [flow, tenant] = [
    searchAttributes[SEARCH_ATTRIBUTES.flow]?.[0],
    searchAttributes[SEARCH_ATTRIBUTES.tenant]?.[0],
  ];
  const known = {
    workflowId,
    runId,
    ...(flow === undefined ? {} : { flow: String(flow) }),
    ...(tenant === undefined ? {} : { tenant: String(tenant) }),
    ...(closeTime === undefined ? {} : { closedAt: closeTime }),
  };
  let code: string | undefined;
  try {
    code = await codeOf(client, { workflowId, runId });
    if (wanted !== undefined && code !== wanted) return undefined;
    const plan = await planRedrive(client, workflowId, { ...options, runId });
    return { ...known, ...(code === undefined ? {} : { code }), found: { plan } };
  } catch (error) {
    if (isUnreachable(error)) throw error;
    if (error instanceof Refusal && (error.reason === 'redriven' || error.reason === 'part')) return undefined;
    // It is this flow's, and the others are to go on.
    return { ...known, ...(code === undefined ? {} : { code }), found: { error } };
  }
}

/** The type of the failure, which is never encrypted. */
async function codeOf(client: Client, execution: { workflowId: string; runId: string }): Promise<string | undefined> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution,
    historyEventFilterType: temporal.api.enums.v1.HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
  });
  const [end] = history?.events ?? [];
  return end?.workflowExecutionFailedEventAttributes?.failure?.applicationFailureInfo?.type ?? undefined;
}
