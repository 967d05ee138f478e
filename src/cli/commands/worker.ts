import { newWorkerId } from '../../worker/run-worker';
import { installRuntime } from '../../worker/runtime';
import type { AddCommand, Cli } from '../cli';
import { addConnectionFlags, type ConnectionFlags, targetOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { Stopped, StopRequest } from '../stop-request';
import { addWorkerFlags, readWorkerConfig, type WorkerFlags } from '../worker-flags';
import {
  createWorkerLog,
  logDefect,
  logNotStarted,
  logStarted,
  serveUntilStopped,
  startWorkerFor,
} from '../worker-life';

const EXAMPLES = `
Examples:
  $ beamline worker
  $ beamline worker --pools io --io-pool-size 50 --database shop=sqlite:./shop.db
  $ beamline worker --pools cpu,gpu --address temporal.internal:7233 --namespace flows
  $ beamline worker --config worker.yaml

SIGTERM and SIGINT (Ctrl-C) stop it in good order: it takes no more work and lets running steps finish within the grace
time. A second SIGINT ends it at once. Exit codes: 0 stopped; 1 a pool failed; 2 bad configuration; 3 Temporal cannot be
reached; 130 ended at once.`;

type Flags = ConnectionFlags & WorkerFlags;

/** `beamline worker` */
export const addWorker: AddCommand = (command, cli, action) => {
  command.description('Runs the steps of flows: polls the task queues of its pools until it is stopped.');
  addConnectionFlags(addWorkerFlags(command))
    .addHelpText('after', EXAMPLES)
    .action(action((flags: Flags) => work(flags, cli)));
};

async function work(flags: Flags, cli: Cli): Promise<ExitCode> {
  const config = readWorkerConfig(flags, cli);
  const workerId = newWorkerId();
  const { logger, conditions } = createWorkerLog(config, workerId);
  const stop = new StopRequest((reason) =>
    logger.log('info', 'draining; SIGINT (Ctrl-C) once more ends at once', {
      reason,
      grace_ms: config.shutdownGraceMs,
    }),
  );
  // Nobody reads the log any more.
  cli.onReaderGone = () => stop.request('EPIPE');
  cli.onDefect = (error) => logDefect(error, logger);
  try {
    const coreMetrics = await installRuntime(logger, { metrics: config.metrics !== undefined });
    const worker = await stop.interrupting(
      startWorkerFor({ config, target: targetOf(flags), logger, workerId, coreMetrics, conditions }),
    );
    logStarted(worker, logger);
    return await serveUntilStopped(worker, { stop, logger });
  } catch (error) {
    if (error instanceof Stopped) return EXIT.done;
    logNotStarted(error, logger);
    throw error;
  } finally {
    stop.release();
  }
}
