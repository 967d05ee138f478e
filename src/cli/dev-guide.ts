import type { TemporalServer } from '../../temporal-dev/server';
import type { WorkerConfig } from '../worker/config';
import type { RunningWorker } from '../worker/serve-pools';
import type { Cli } from './cli';
import { shortPath } from './short-path';

/** What `beamline dev` has started. */
export interface DevParts {
  readonly server: TemporalServer;
  readonly worker: RunningWorker;
  readonly config: WorkerConfig;
  readonly dbFile: string;
  readonly logFile: string;
  /** How the Temporal CLI is called here. */
  readonly temporal: string;
}

/** Prints what runs where. */
export function printWhere({ server, worker, config, dbFile, logFile }: DevParts, cli: Cli): void {
  const shown = (file: string) => shortPath(file, cli.cwd);
  const databases = config.databases.map((database) => {
    const name = database.tenant === undefined ? database.name : `${database.tenant}/${database.name}`;
    return `${name} (${database.kind === 'sqlite' ? `SQLite, ${shown(database.file)}` : 'PostgreSQL'})`;
  });
  const rows = [
    ['Temporal', `${server.address}, namespace ${server.namespace}`],
    ['UI', server.uiUrl ?? 'none'],
    ['Task queues', worker.pools.map(({ taskQueue, slots }) => `${taskQueue} (${slots})`).join(', ')],
    ...(worker.metricsUrl === undefined
      ? []
      : [['Metrics', `${worker.metricsUrl}/metrics; health at /readyz and /status`]]),
    ['Blobs', shown(config.blobRoot)],
    ['Databases', databases.join(', ')],
    ['History', `${shown(dbFile)}, kept between runs; log in ${shown(logFile)}`],
  ];
  for (const [what = '', where = ''] of rows) cli.out.line(`${cli.out.style.bold(what.padEnd(12))} ${where}`);
}
