import { temporal } from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { within } from '../../activities/within';
import type { ResourceClass } from '../../dsl/block-spec';

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

/** The queues of the served pools. One that is missing could not be told. */
export interface QueueStates {
  readonly pools: ReadonlyMap<ResourceClass, QueueState>;
  /** Why one is missing; for people. */
  readonly failure?: string;
}

/** How long an answer is given again. */
const FRESH_MS = 5_000;

/** The most that one round of questions takes. */
const LIMIT_MS = 2_000;

/** A poll lasts up to a minute; who has not polled for longer is gone. */
const POLL_FRESH_MS = 75_000;

/** Asks Temporal for the queues of the served pools, when somebody wants to know and at most once in {@link FRESH_MS}. */
export class QueueSurvey {
  #last: { readonly states: Promise<QueueStates>; readonly until: number } | undefined;

  constructor(
    private readonly options: {
      readonly connection: Pick<NativeConnection, 'workflowService' | 'withDeadline'>;
      readonly namespace: string;
      readonly pools: readonly { readonly resources: ResourceClass; readonly taskQueue: string }[];
    },
  ) {}

  /** Answers within {@link LIMIT_MS}. Never rejects. */
  read(): Promise<QueueStates> {
    const now = performance.now();
    if (this.#last === undefined || now >= this.#last.until) {
      this.#last = { states: this.#ask(), until: now + FRESH_MS };
    }
    return this.#last.states;
  }

  async #ask(): Promise<QueueStates> {
    const { pools } = this.options;
    const answers = await Promise.allSettled(pools.map((pool) => within(LIMIT_MS, this.#stateOf(pool))));
    const told = new Map<ResourceClass, QueueState>();
    let failure: string | undefined;
    for (const [index, answer] of answers.entries()) {
      const pool = pools[index];
      if (pool === undefined) continue;
      if (answer.status === 'fulfilled') told.set(pool.resources, answer.value);
      else failure = `${pool.taskQueue}: ${answer.reason instanceof Error ? answer.reason.message : answer.reason}`;
    }
    return { pools: told, ...(failure === undefined ? {} : { failure }) };
  }

  async #stateOf({ resources, taskQueue }: { resources: ResourceClass; taskQueue: string }): Promise<QueueState> {
    const types =
      resources === 'io' ? [TASK_QUEUE_TYPE_ACTIVITY, TASK_QUEUE_TYPE_WORKFLOW] : [TASK_QUEUE_TYPE_ACTIVITY];
    const states = await Promise.all(types.map((type) => this.#describe(taskQueue, type)));
    return states.reduce((one, other) => ({
      depth: one.depth + other.depth,
      ageSeconds: Math.max(one.ageSeconds, other.ageSeconds),
      addRate: one.addRate + other.addRate,
      dispatchRate: one.dispatchRate + other.dispatchRate,
      pollers: one.pollers.filter((identity) => other.pollers.includes(identity)),
    }));
  }

  async #describe(taskQueue: string, type: temporal.api.enums.v1.TaskQueueType): Promise<QueueState> {
    const { connection, namespace } = this.options;
    const request = { namespace, taskQueue: { name: taskQueue }, taskQueueType: type, reportStats: true };
    const { stats, pollers } = await connection.withDeadline(Date.now() + LIMIT_MS, () =>
      connection.workflowService.describeTaskQueue(request),
    );
    const { seconds, nanos } = stats?.approximateBacklogAge ?? {};
    const oldest = Date.now() - POLL_FRESH_MS;
    const polling = pollers.filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000 > oldest);
    return {
      depth: Number(stats?.approximateBacklogCount ?? 0),
      ageSeconds: Number(seconds ?? 0) + (nanos ?? 0) / 1e9,
      addRate: stats?.tasksAddRate ?? 0,
      dispatchRate: stats?.tasksDispatchRate ?? 0,
      pollers: [...new Set(polling.map(({ identity }) => identity ?? ''))],
    };
  }
}
