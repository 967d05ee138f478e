import type { Pool } from './pools';

/** A worker that serves its pools. */
export interface RunningWorker {
  readonly id: string;
  readonly pools: readonly Pick<Pool, 'resources' | 'taskQueue' | 'slots'>[];
  /** Where its metrics and health are served; absent: nowhere. */
  readonly metricsUrl?: string;
  /** Resolves when all pools have stopped; rejects where one failed. */
  readonly stopped: Promise<void>;
  /** Takes no more work, lets running steps finish within the grace time, then resolves. May be called again. */
  stop(): Promise<void>;
}

/** Runs pools until they are stopped, or one of them fails; then what `release` gives back is given back. `onDrain` hears that no more work is taken. */
export function servePools(
  pools: readonly Pool[],
  { id, release, onDrain }: { id: string; release: () => Promise<void>; onDrain: () => void },
): RunningWorker {
  const shutDown = () => {
    onDrain();
    for (const { worker } of pools) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const runs = pools.map(async ({ worker }) => {
    try {
      await worker.run();
    } finally {
      // One pool that fails takes the others down in good order: half a worker would look alive.
      shutDown();
    }
  });
  const stopped = Promise.allSettled(runs).then(async (results) => {
    await release();
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  });
  // Whoever starts a worker waits for `stopped` sooner or later; until then a failure must not end the process.
  stopped.catch(() => undefined);
  return {
    id,
    pools,
    stopped,
    stop: async () => {
      shutDown();
      await stopped;
    },
  };
}
