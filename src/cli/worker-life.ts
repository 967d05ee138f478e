import { setTimeout as delay } from 'node:timers/promises';
import { Mask } from '../activities/secrets/mask';
import { stackFrames } from '../activities/stack-frames';
import { messageOf } from '../dsl/errors';
import type { WorkerConfig } from '../worker/config';
import { createLogger, type Logger } from '../worker/logger';
import { startWorker } from '../worker/run-worker';
import type { RunningWorker } from '../worker/serve-pools';
import { Conditions } from '../worker/telemetry/conditions';
import { connectionConfig } from '../worker/temporal-connection';
import { translateClientError } from './client-errors';
import { errorDataOf } from './command-error';
import { EXIT, type ExitCode } from './exit-codes';
import { setHeapFlags } from './heap-flags';
import type { StopRequest } from './stop-request';

/** The log of a worker, and the conditions that know whether it can be written. */
export function createWorkerLog(config: WorkerConfig, workerId: string): { logger: Logger; conditions: Conditions } {
  const conditions = new Conditions();
  const logger = createLogger(config, workerId, {
    onLoss: (isLosing) =>
      conditions.tell('log', isLosing ? 'lines are lost: standard output cannot be written' : undefined),
    mask: maskOf(config),
  });
  return { logger, conditions };
}

/** Starts a worker; what Temporal refuses comes out as an error for people. */
export async function startWorkerFor(options: Parameters<typeof startWorker>[0]): Promise<RunningWorker> {
  setHeapFlags();
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

/** Blanks out the passwords of the settings, should a driver's error quote them. */
function maskOf({ databases, stateStore }: WorkerConfig): (text: string) => string {
  const mask = new Mask();
  for (const database of [...databases, stateStore]) {
    if (database.kind !== 'postgres' || !URL.canParse(database.url)) continue;
    const { password } = new URL(database.url);
    mask.add(password);
    mask.add(decodeURIComponent(password));
  }
  return (text) => mask.text(text);
}

/** Logs why a worker did not start, beside what the command prints on standard error: what reads the log hears of it too. */
export function logNotStarted(error: unknown, logger: Logger): void {
  const { code, detail } = errorDataOf(error);
  const text = typeof detail === 'string' ? detail : String(error);
  logger.log('error', 'worker did not start', { error: text, error_code: typeof code === 'string' ? code : undefined });
}

/** Logs an error that nobody caught, before the process ends. What it says may be of a flow; standard error has it. */
export function logDefect(error: unknown, logger: Logger): void {
  const fields = error instanceof Error ? { error_name: error.name, stack: stackFrames(error) } : {};
  logger.log('error', 'worker ends: an error that nobody expected; standard error says more', fields);
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
    const reason = messageOf(error);
    logger.log('error', 'worker failed; its pools have stopped', { error: reason });
    return EXIT.failed;
  }
}

/** Stops a worker whose server is gone: it may never hear that its polls ended. Gives up after a while. */
export async function stopOrGiveUp(worker: RunningWorker, limitMs: number): Promise<void> {
  await Promise.race([worker.stop().catch(() => undefined), delay(limitMs, undefined, { ref: false })]);
}
