import type { NativeConnection } from '@temporalio/worker';
import { within } from '../../activities/within';
import { type PoolName, RESOURCE_CLASSES } from '../../dsl/block-spec';
import { taskQueueOf } from '../../dsl/names';
import { type PoolQueue, type QueueState, readQueueState } from './queue-state';

/** The queues of pools. One that is missing could not be told. */
export interface QueueStates {
  readonly pools: ReadonlyMap<PoolName, QueueState>;
  /** Why one is missing; for people. */
  readonly failure?: string;
}

/** The queues of all pools that workers of a queue prefix can have, served or not. */
export function allQueues(prefix: string): PoolQueue[] {
  return RESOURCE_CLASSES.map((resources) => ({ resources, taskQueue: taskQueueOf(prefix, resources) }));
}

/** How long an answer is given again. */
const FRESH_MS = 5_000;

/** The most that one round of questions takes. */
const LIMIT_MS = 2_000;

/** Asks Temporal for the queues of pools, when somebody wants to know and at most once in {@link FRESH_MS}. */
export class QueueSurvey {
  #last: { readonly states: Promise<QueueStates>; readonly until: number } | undefined;

  constructor(
    private readonly options: {
      readonly connection: Pick<NativeConnection, 'workflowService' | 'withDeadline'>;
      readonly namespace: string;
      readonly pools: readonly PoolQueue[];
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
    const told = new Map<PoolName, QueueState>();
    let failure: string | undefined;
    for (const [index, answer] of answers.entries()) {
      const pool = pools[index];
      if (pool === undefined) continue;
      if (answer.status === 'fulfilled') told.set(pool.resources, answer.value);
      else failure = `${pool.taskQueue}: ${answer.reason instanceof Error ? answer.reason.message : answer.reason}`;
    }
    return { pools: told, ...(failure === undefined ? {} : { failure }) };
  }

  async #stateOf(pool: PoolQueue): Promise<QueueState> {
    const { connection, namespace } = this.options;
    return await connection.withDeadline(Date.now() + LIMIT_MS, () =>
      readQueueState(connection.workflowService, namespace, pool),
    );
  }
}
