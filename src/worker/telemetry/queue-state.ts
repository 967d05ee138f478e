import { temporal } from '@temporalio/proto';
import { type PoolName, runsFlows } from '../../dsl/block-spec';

const { TASK_QUEUE_TYPE_ACTIVITY, TASK_QUEUE_TYPE_WORKFLOW } = temporal.api.enums.v1.TaskQueueType;

/** What Temporal says of the task queue of a pool, all of its workers together. */
export interface QueueState {
  /** Tasks that wait for a worker, approximately; of the io queue its workflow tasks too. */
  readonly depth: number;
  /** How long the oldest of them has waited. */
  readonly ageSeconds: number;
  /** Tasks a second, of the last half minute. */
  readonly addRate: number;
  readonly dispatchRate: number;
  /** Identities (worker ids) of those who polled it lately; of the io queue, for steps and for flows. */
  readonly pollers: readonly string[];
}

/** A pool, as Temporal knows it. */
export interface PoolQueue {
  readonly resources: PoolName;
  readonly taskQueue: string;
}

/** How Temporal is asked, by a worker's connection or a client's. */
export interface QueueService {
  describeTaskQueue(
    request: temporal.api.workflowservice.v1.IDescribeTaskQueueRequest,
  ): Promise<temporal.api.workflowservice.v1.IDescribeTaskQueueResponse>;
}

/** A poll lasts up to a minute; who has not polled for longer is gone. */
const POLL_FRESH_MS = 75_000;

/** Asks Temporal for the queue of a pool. */
export async function readQueueState(
  service: QueueService,
  namespace: string,
  { resources, taskQueue }: PoolQueue,
): Promise<QueueState> {
  const types = runsFlows(resources)
    ? [TASK_QUEUE_TYPE_ACTIVITY, TASK_QUEUE_TYPE_WORKFLOW]
    : [TASK_QUEUE_TYPE_ACTIVITY];
  const states = types.map((taskQueueType) =>
    describe(service, { namespace, taskQueue: { name: taskQueue }, taskQueueType }),
  );
  // What is under way is waited for, so that nothing is left over where one fails.
  await Promise.allSettled(states);
  return (await Promise.all(states)).reduce((one, other) => ({
    depth: one.depth + other.depth,
    ageSeconds: Math.max(one.ageSeconds, other.ageSeconds),
    addRate: one.addRate + other.addRate,
    dispatchRate: one.dispatchRate + other.dispatchRate,
    pollers: one.pollers.filter((identity) => other.pollers.includes(identity)),
  }));
}

async function describe(
  service: QueueService,
  request: temporal.api.workflowservice.v1.IDescribeTaskQueueRequest,
): Promise<QueueState> {
  const { stats, pollers } = await service.describeTaskQueue({ ...request, reportStats: true });
  const { seconds, nanos } = stats?.approximateBacklogAge ?? {};
  return {
    depth: Number(stats?.approximateBacklogCount ?? 0),
    ageSeconds: Number(seconds ?? 0) + (nanos ?? 0) / 1e9,
    addRate: stats?.tasksAddRate ?? 0,
    dispatchRate: stats?.tasksDispatchRate ?? 0,
    pollers: freshPollers(pollers),
  };
}

/** Identities of those that polled a task queue lately, as `describeTaskQueue` tells them. */
export function freshPollers(pollers: readonly temporal.api.taskqueue.v1.IPollerInfo[] | null | undefined): string[] {
  const oldest = Date.now() - POLL_FRESH_MS;
  const fresh = (pollers ?? []).filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000 > oldest);
  return [...new Set(fresh.map(({ identity }) => identity ?? ''))];
}
