import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { ApprovalState } from '../dsl/approval';
import type { FlowError } from '../dsl/errors';
import { APPROVAL, SEARCH_ATTRIBUTES } from '../dsl/names';
import { quote, readState } from './approval-client';
import { mapBounded } from './bounded';
import { attributeOf } from './flow-attributes';
import { unreadableError } from './unreadable-flow';
import { hasWorker } from './worker-presence';

/** Queries at a time; each replays the approval where no worker has it in memory. */
const QUERIES_AT_ONCE = 8;

/** Longest wait for one answer; a list is of use without them too. */
const QUERY_TIMEOUT_MS = 4_000;

/** An approval that waits. `state` is absent where no worker answers, or it cannot be read; the rest is from Temporal's list. */
export interface WaitingApproval {
  readonly id: string;
  readonly since: Date;
  /** `namespace/name:version` of its flow, and whose that is; absent where Temporal does not know. */
  readonly flow?: string;
  readonly tenant?: string;
  readonly state?: ApprovalState;
  /** Why the answer cannot be read here: a key that is missing. */
  readonly unreadable?: FlowError;
}

/** What waits for a decision, as Temporal's lists are asked for it. */
export const WAITING_APPROVALS = `WorkflowType = ${quote(APPROVAL)} AND ExecutionStatus = 'Running'`;

/**
 * What waits for a decision, the newest first, and whether there are more than `limit`; `within` narrows Temporal's list down, as a
 * condition of a query.
 */
export async function listApprovals(
  client: Client,
  { tenant, within, limit }: { tenant?: string | undefined; within?: string; limit: number },
): Promise<{ approvals: readonly WaitingApproval[]; hasMore: boolean }> {
  const ofTenant = tenant === undefined ? '' : ` AND ${SEARCH_ATTRIBUTES.tenant} = ${quote(tenant)}`;
  const query = `${WAITING_APPROVALS}${ofTenant}${within === undefined ? '' : ` AND ${within}`}`;
  const found: WorkflowExecutionInfo[] = [];
  for await (const info of client.workflow.list({ query })) {
    found.push(info);
    if (found.length > limit) break;
  }
  const reader = new StateReader(client);
  const read = await mapBounded(found.slice(0, limit), QUERIES_AT_ONCE, (info) => reader.read(info));
  const approvals = read.filter((approval) => approval !== undefined);
  return { approvals, hasMore: found.length > limit };
}

/** Asks approvals for their states, but not again and again where nobody is there to answer. */
class StateReader {
  readonly #workers = new Map<string, Promise<boolean>>();

  constructor(private readonly client: Client) {}

  /** Undefined where it has been decided since it was listed. */
  async read(info: WorkflowExecutionInfo): Promise<WaitingApproval | undefined> {
    const { workflowId, startTime, taskQueue } = info;
    const listed = { id: workflowId, since: startTime, ...attributesOf(info) };
    if (!(await this.#hasWorker(taskQueue))) return listed;
    try {
      const state = await readState(this.client, { id: workflowId, taskQueue }, QUERY_TIMEOUT_MS);
      return state.status === 'pending' ? { ...listed, state } : undefined;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      const unreadable = unreadableError(error);
      // It was an answer, and there may be others with another key.
      if (unreadable !== undefined) return { ...listed, unreadable };
      // The server remembers workers for some minutes after they have gone.
      this.#workers.set(taskQueue, Promise.resolve(false));
      return listed;
    }
  }

  #hasWorker(taskQueue: string): Promise<boolean> {
    const known = this.#workers.get(taskQueue) ?? hasWorker(this.client, taskQueue);
    this.#workers.set(taskQueue, known);
    return known;
  }
}

function attributesOf(info: WorkflowExecutionInfo): Pick<WaitingApproval, 'flow' | 'tenant'> {
  const [flow, tenant] = [attributeOf(info, 'flow'), attributeOf(info, 'tenant')];
  return { ...(flow === undefined ? {} : { flow }), ...(tenant === undefined ? {} : { tenant }) };
}
