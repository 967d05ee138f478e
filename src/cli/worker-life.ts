import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../worker/logger';
import type { RunningWorker } from '../worker/run-worker';
import type { StopRequest } from './stop-request';

/** Logs what a worker serves. */
export function logStarted(worker: RunningWorker, logger: Logger): void {
  for (const { resources, taskQueue, slots } of worker.pools) {
    logger.log('info', 'worker started', { pool: resources, task_queue: taskQueue, slots });
  }
}

/**
 * Waits until somebody wants to stop, then drains the worker; or until the worker ends by itself. Rejects where a pool
 * failed. The result tells which it was.
 */
export async function serveUntilStopped(worker: RunningWorker, stop: StopRequest): Promise<'stopped' | 'ended'> {
  const first = await Promise.race([worker.stopped.then(() => 'ended' as const), stop.wanted()]);
  if (first === 'ended') return 'ended';
  await worker.stop();
  return 'stopped';
}

/** Stops a worker whose server is gone: it may never hear that its polls ended. Gives up after a while. */
export async function stopOrGiveUp(worker: RunningWorker, limitMs: number): Promise<void> {
  await Promise.race([worker.stop().catch(() => undefined), delay(limitMs, undefined, { ref: false })]);
}
