import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TemporalServer } from '../../temporal-dev/server';
import { RUN_FLOW, taskQueueOf } from '../dsl/names';
import type { WorkerConfig } from '../worker/config';
import { EXAMPLES_FOLDER } from '../worker/package-files';
import type { RunningWorker } from '../worker/run-worker';
import type { Cli } from './cli';
import { beamlineCommand } from './command-name';
import { shellWord } from './output';

/** The address that everything uses where nothing else is said. */
const DEFAULT_ADDRESS = '127.0.0.1:7233';

/** The example that is proposed, and its input where it takes one. */
const EXAMPLE = 'hello.yaml';
const EXAMPLE_INPUT = 'hello.input.json';

/** A flow that needs nothing, small enough for a command line. */
const TINY_FLOW = {
  document: { dsl: '1.0.3', namespace: 'try', name: 'hello', version: '1.0.0' },
  do: [{ hello: { set: { message: 'Hello' } } }],
};

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
  const databases = config.databases.map((database) =>
    database.kind === 'sqlite' ? `${database.name} (SQLite, ${shown(database.file)})` : `${database.name} (PostgreSQL)`,
  );
  const rows = [
    ['Temporal', `${server.address}, namespace ${server.namespace}`],
    ['UI', server.uiUrl ?? 'none'],
    ['Task queues', worker.pools.map(({ taskQueue, slots }) => `${taskQueue} (${slots})`).join(', ')],
    ['Blobs', shown(config.blobRoot)],
    ['Databases', databases.join(', ')],
    ['History', `${shown(dbFile)}, kept between runs; log in ${shown(logFile)}`],
  ];
  for (const [what = '', where = ''] of rows) cli.out.line(`${cli.out.style.bold(what.padEnd(12))} ${where}`);
}

/** Prints commands to go on with, to be copied into another terminal. */
export function printNextSteps({ server, config, temporal }: DevParts, cli: Cli): void {
  const beamline = beamlineCommand(cli.cwd);
  const ownAddress = cli.env.TEMPORAL_ADDRESS ?? DEFAULT_ADDRESS;
  const isElsewhere = ownAddress !== server.address;
  const prefix = config.queuePrefix === 'beamline' ? '' : ` --queue-prefix ${config.queuePrefix}`;
  const queue = taskQueueOf(config.queuePrefix, 'io');
  const start = `${temporal} workflow start --type ${RUN_FLOW} --task-queue ${queue} --workflow-id hello-1`;
  const commands = [
    ...(isElsewhere ? [`export TEMPORAL_ADDRESS=${server.address}`] : []),
    `${beamline} run ${exampleToRun(cli.cwd)}${prefix}`,
    `${beamline} approvals list`,
    `${beamline} dlq list`,
    `${start} --input '${JSON.stringify({ flow: TINY_FLOW })}'`,
  ];
  cli.out.line('\nWhat to do next, in another terminal:');
  for (const command of commands) cli.out.line(`  ${command}`);
  cli.out.line('Ctrl-C here stops the worker and the server.\n');
}

/** An example that needs nothing but its input, which lies beside it: `hello.yaml`, `hello.input.json`. */
function exampleToRun(cwd: string): string {
  const names = existsSync(EXAMPLES_FOLDER) ? readdirSync(EXAMPLES_FOLDER) : [];
  const at = (name: string) => shellWord(shortPath(join(EXAMPLES_FOLDER, name), cwd));
  if (!names.includes(EXAMPLE)) return 'FLOW.yaml';
  return names.includes(EXAMPLE_INPUT) ? `${at(EXAMPLE)} --input @${at(EXAMPLE_INPUT)}` : at(EXAMPLE);
}

/** Relative where that is below the folder we are in. */
function shortPath(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith('..') ? file : path;
}
