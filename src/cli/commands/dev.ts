import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { startTemporalServer, type TemporalServer } from '../../../temporal-dev/server';
import { POOL_NAMES } from '../../dsl/block-spec';
import { flowError } from '../../dsl/errors';
import { parseWorkerConfig, type WorkerConfig } from '../../worker/config';
import type { Logger } from '../../worker/logger';
import type { OptionValues } from '../../worker/options';
import { newWorkerId } from '../../worker/run-worker';
import { installRuntime } from '../../worker/runtime';
import type { RunningWorker } from '../../worker/serve-pools';
import type { Conditions } from '../../worker/telemetry/conditions';
import type { AddCommand, Cli } from '../cli';
import { CommandError } from '../command-error';
import { type DevParts, printWhere } from '../dev-guide';
import { printNextSteps } from '../dev-next-steps';
import { ownTarget, temporalCommand } from '../embedded-temporal';
import { EXIT, type ExitCode } from '../exit-codes';
import { LOOPBACK_HOSTS } from '../loopback-hosts';
import { ReleaseStack } from '../release-stack';
import { Stopped, StopRequest } from '../stop-request';
import { addWorkerFlags, readWorkerOptions, type WorkerFlags } from '../worker-flags';
import { createWorkerLog, logStarted, serveUntilStopped, startWorkerFor, stopOrGiveUp } from '../worker-life';

/** For a person at a terminal; what the table says is for a worker in production. */
const DEV_DEFAULTS: OptionValues = {
  pools: POOL_NAMES.join(','),
  'log-level': 'warn',
  'log-format': 'pretty',
  'shutdown-grace': '5',
};

const DEFAULT_DATABASE = 'dev=sqlite:.beamline/dev.db';

/** How long a worker may take to stop once its server is gone. */
const STOP_LIMIT_MS = 8_000;

const EXAMPLES = `
Examples:
  $ beamline dev
  $ beamline dev --port 7300 --ui-port 8300 --db ./temporal.db
  $ beamline dev --database shop=sqlite:./shop.db --log-level info

HTTP blocks may call this machine (localhost, 127.0.0.1, ::1). The line "ready" says that flows can be started. Ctrl-C
stops the worker and the server; flows that were running go on at the next start. Exit codes: 0 stopped; 1 the server or a
pool ended; 2 bad configuration, or a port is in use; 3 there is no Temporal server to be had.`;

type Flags = WorkerFlags & { readonly port: number; readonly uiPort: number; readonly db: string };

/** `beamline dev` */
export const addDev: AddCommand = (command, cli, action) => {
  command
    .description('Starts a Temporal server and a worker with all pools on this machine, in one process.')
    .addOption(new Option('--port <N>', 'port of Temporal').default(7233).argParser(parsePort))
    .addOption(new Option('--ui-port <N>', "port of Temporal's UI").default(8233).argParser(parsePort))
    .option('--db <FILE>', "the server's database, kept between runs", '.beamline/temporal.db');
  addWorkerFlags(command, DEV_DEFAULTS)
    .addHelpText('after', EXAMPLES)
    .action(action((flags: Flags) => develop(flags, cli)));
};

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a whole number from 1 to 65535.');
}

async function develop(flags: Flags, cli: Cli): Promise<ExitCode> {
  const config = devConfig(flags, cli);
  const workerId = newWorkerId();
  const { logger, conditions } = createWorkerLog(config, workerId);
  const stop = new StopRequest(() => cli.err.line('stopping; Ctrl-C once more ends at once'));
  cli.onReaderGone = () => stop.request('EPIPE');
  const releases = new ReleaseStack((error) => cli.err.line(`could not be stopped cleanly: ${String(error)}`));
  try {
    const parts = await start(flags, { config, workerId, logger, conditions, stop, releases, cli });
    printWhere(parts, cli);
    await printNextSteps(parts, cli);
    cli.out.line('ready');
    return await serve(parts, { stop, logger });
  } catch (error) {
    if (error instanceof Stopped) return EXIT.done;
    throw error;
  } finally {
    await releases.releaseAll();
    stop.release();
  }
}

/** The worker's settings, with what makes a first flow run on this machine without any. */
function devConfig(flags: Flags, cli: Cli): WorkerConfig {
  const options = readWorkerOptions(flags, cli, DEV_DEFAULTS);
  const allowHosts = [options['allow-host'] ?? []].flat();
  const databases = [options.database ?? []].flat();
  return parseWorkerConfig(
    {
      ...options,
      'allow-host': [...allowHosts, ...LOOPBACK_HOSTS],
      database: databases.length === 0 ? [DEFAULT_DATABASE] : databases,
    },
    cli.cwd,
  );
}

interface StartContext {
  readonly config: WorkerConfig;
  readonly workerId: string;
  readonly logger: Logger;
  readonly conditions: Conditions;
  readonly stop: StopRequest;
  readonly releases: ReleaseStack;
  readonly cli: Cli;
}

async function start(
  flags: Flags,
  { config, workerId, logger, conditions, stop, releases, cli }: StartContext,
): Promise<DevParts> {
  const dbFile = resolve(cli.cwd, flags.db);
  const logFile = `${dbFile.replace(/\.db$/, '')}.log`;
  const { port, uiPort } = flags;
  const log = (line: string) => cli.err.line(line);
  const server = await stop.interrupting(startTemporalServer({ port, uiPort, dbFile, logFile, log }));
  releases.add(() => server.stop());
  const coreMetrics = await installRuntime(logger, { metrics: config.metrics !== undefined });
  const worker = await stop.interrupting(
    startWorkerFor({ config, target: ownTarget(server), logger, workerId, coreMetrics, conditions }),
  );
  releases.add(() => stopOrGiveUp(worker, STOP_LIMIT_MS));
  logStarted(worker, logger);
  return { server, worker, config, dbFile, logFile, temporal: await temporalCommand(cli) };
}

async function serve(
  { server, worker, logFile }: { server: TemporalServer; worker: RunningWorker; logFile: string },
  { stop, logger }: { stop: StopRequest; logger: Logger },
): Promise<ExitCode> {
  return Promise.race([
    serveUntilStopped(worker, { stop, logger }),
    server.exited.then((how): never => {
      const detail = `the Temporal server ended (${how}); its log is ${logFile}`;
      throw new CommandError(flowError('BLW_TEMPORAL_UNREACHABLE', detail), EXIT.failed, 'Start `beamline dev` again.');
    }),
  ]);
}
