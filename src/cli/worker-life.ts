import { setTimeout as delay } from 'node:timers/promises';
import type { WorkerConfig } from '../worker/config';
import { createLogger, type Logger } from '../worker/logger';
import { type RunningWorker, startWorker } from '../worker/run-worker';
import { Conditions } from '../worker/telemetry/conditions';
import { connectionConfig } from '../worker/temporal-connection';
import { translateClientError } from './client-errors';
import { EXIT, type ExitCode } from './exit-codes';
import type { StopRequest } from './stop-request';

/** The log of a worker, and the conditions that know whether it can be written. */
export function createWorkerLog(config: WorkerConfig, workerId: string): { logger: Logger; conditions: Conditions } {
  const conditions = new Conditions();
  const logger = createLogger(config, workerId, (isLosing) =>
    conditions.tell('log', isLosing ? 'lines are lost: standard output cannot be written' : undefined),
  );
  return { logger, conditions };
}

/** Starts a worker; what Temporal refuses comes out as an error for people. */
export async function startWorkerFor(options: Parameters<typeof startWorker>[0]): Promise<RunningWorker> {
  try {
    return await startWorker(options);
  } catch (error) {
    throw translateClientError(error, connectionConfig(options.target));
  }
}

/** Logs what a worker serves. */
export function logStarted(worker: RunningWorker, logger: Logger): void {
  for (const { resources, taskQueue, slots } of worker.pools) {
    logger.log('info', 'worker started', { pool: resources, task_queue: taskQueue, slots });
  }
  if (worker.metricsUrl !== undefined) logger.log('info', 'metrics and health are served', { url: worker.metricsUrl });
}

/** Waits until somebody wants to stop, then drains the worker. A worker that ends by itself has failed. */
export async function serveUntilStopped(
  worker: RunningWorker,
  { stop, logger }: { stop: StopRequest; logger: Logger },
): Promise<ExitCode> {
  try {
    const first = await Promise.race([worker.stopped.then(() => 'ended'), stop.wanted()]);
    await worker.stop();
    logger.log('info', 'worker stopped');
    return first === 'ended' ? EXIT.failed : EXIT.done;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.log('error', 'worker failed; its pools have stopped', { error: reason });
    return EXIT.failed;
  }
}

/** Stops a worker whose server is gone: it may never hear that its polls ended. Gives up after a while. */
export async function stopOrGiveUp(worker: RunningWorker, limitMs: number): Promise<void> {
  await Promise.race([worker.stop().catch(() => undefined), delay(limitMs, undefined, { ref: false })]);
}
