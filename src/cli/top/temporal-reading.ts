import type { Client } from '@temporalio/client';
import type { PoolName } from '../../dsl/block-spec';
import { OPEN_STATUSES, type OpenStatus, RUN_FLOW, RUN_WINDOW, taskQueueOf } from '../../dsl/names';
import { type PoolQueue, type QueueState, readQueueState } from '../../worker/telemetry/queue-state';
import { allQueues } from '../../worker/telemetry/queue-survey';
import { quote } from '../approval-client';
import { WAITING_APPROVALS } from '../approval-list';
import { visibilityQuery } from '../dead-letter-filter';
import { statusCondition } from '../runs/run-status';

/** Longest wait for one reading: a view that stands still says so rather soon. */
const DEADLINE_MS = 5_000;

/** How long ago a flow may have ended to be counted: of all that there ever were, counting takes long. */
const ENDED_WITHIN_MS = 3_600_000;

/** Approvals that are looked through for the oldest: Temporal's lists begin with the newest. */
const MAX_APPROVALS = 200;

/** A pool's task queue. */
export interface QueueReading extends QueueState {
  readonly pool: PoolName;
  readonly taskQueue: string;
}

/** What Temporal itself knows. */
export interface TemporalReading {
  readonly queues: readonly QueueReading[];
  readonly open: Readonly<Record<OpenStatus, number>>;
  /** Of the last hour, by status. */
  readonly ended: Readonly<Record<string, number>>;
  readonly approvals: {
    readonly waiting: number;
    /** Ms since 1970. */
    readonly oldestSince?: number;
    /** There are too many to look through: the oldest is older still. */
    readonly isOlder?: true;
  };
  /** Flows, and batches of their loops, with dead letters. */
  readonly deadLetterFlows: number;
}

/** Asks Temporal for all of it at once. Rejects with what its client throws. */
export async function readTemporal(client: Client, queuePrefix: string): Promise<TemporalReading> {
  return await client.withDeadline(Date.now() + DEADLINE_MS, async () => {
    const [queues, open, ended, approvals, parkedBatches] = await together([
      together(allQueues(queuePrefix).map((queue) => readQueue(client, queue))),
      countOpen(client, liveFlows(queuePrefix)),
      countEnded(client, liveFlows(queuePrefix)),
      readApprovals(client),
      count(client, `${visibilityQuery({})} AND WorkflowType = ${quote(RUN_WINDOW)}`),
    ]);
    // The flows are counted once, so that a frame does not say two things of them.
    return { queues, open, ended, approvals, deadLetterFlows: open.DeadLettered + parkedBatches };
  });
}

async function readQueue({ workflowService, options }: Client, queue: PoolQueue): Promise<QueueReading> {
  const { resources: pool, taskQueue } = queue;
  return { pool, taskQueue, ...(await readQueueState(workflowService, options.namespace, queue)) };
}

/** Of a dry run that no worker has taken up yet only the queue tells. */
function liveFlows(queuePrefix: string): string {
  return `WorkflowType = ${quote(RUN_FLOW)} AND TaskQueue != ${quote(taskQueueOf(queuePrefix, 'sandbox'))}`;
}

async function countOpen(client: Client, flows: string): Promise<Record<OpenStatus, number>> {
  const counts = await together(
    OPEN_STATUSES.map(async (status) => {
      return [status, await count(client, `${flows} AND ${statusCondition([status])}`)] as const;
    }),
  );
  return Object.fromEntries(counts) as Record<OpenStatus, number>;
}

async function countEnded(client: Client, flows: string): Promise<Record<string, number>> {
  const since = new Date(Date.now() - ENDED_WITHIN_MS).toISOString();
  const conditions = [
    flows,
    // On SQL, what runs counts as closed in the far future.
    "ExecutionStatus != 'Running'",
    `CloseTime >= ${quote(since)}`,
    statusCondition([]),
  ];
  const { groups } = await client.workflow.count(`${conditions.join(' AND ')} GROUP BY ExecutionStatus`);
  const named = groups.map(({ count: number, groupValues: [name] }) => {
    // Ours is the spelling of the design, Temporal's another.
    const status = String(name);
    return [status === 'Canceled' ? 'Cancelled' : status, number] as const;
  });
  return Object.fromEntries(named);
}

async function readApprovals(client: Client): Promise<TemporalReading['approvals']> {
  const waiting = await count(client, WAITING_APPROVALS);
  if (waiting === 0) return { waiting };
  let [seen, oldest] = [0, Number.POSITIVE_INFINITY];
  for await (const { startTime } of client.workflow.list({ query: WAITING_APPROVALS, pageSize: MAX_APPROVALS })) {
    oldest = Math.min(oldest, startTime.getTime());
    seen += 1;
    if (seen === MAX_APPROVALS) break;
  }
  if (seen === 0) return { waiting };
  return { waiting, oldestSince: oldest, ...(waiting > MAX_APPROVALS ? { isOlder: true } : {}) };
}

async function count(client: Client, query: string): Promise<number> {
  return (await client.workflow.count(query)).count;
}

/** As Promise.all, but over only once every one is: where Temporal is away, the client goes on trying what nobody waits for any more. */
async function together<const T extends readonly Promise<unknown>[]>(work: T) {
  await Promise.allSettled(work);
  return await Promise.all(work);
}
