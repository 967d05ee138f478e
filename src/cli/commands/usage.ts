import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { flowError } from '../../dsl/errors';
import { DEFAULT_BLOB_ROOT, environmentName } from '../../worker/options';
import { openStateStore, parseStateStore } from '../../worker/state/open-state-store';
import { type StateStore, type StateStoreConfig, StateStoreUnavailable } from '../../worker/state/state-store';
import { readUsage, sumUsage, type UsageDay, type UsageRange } from '../../worker/usage/usage-report';
import type { AddCommand, Cli } from '../cli';
import { CommandError, usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { usageTable } from '../usage-view';

const STORE_VARIABLE = environmentName('state-store');
const BLOB_ROOT_VARIABLE = environmentName('blob-root');

const EXAMPLES = `
Examples:
  $ beamline usage
  $ beamline usage --tenant acme --from 2026-11-01 --to 2026-11-30
  $ beamline usage --json --state-store postgres://beamline@db.internal/beamline

Days are in UTC. Reads the state store of the workers; Temporal is not asked. Exit codes: 0 done; 1 the store does not answer;
2 bad usage, or there is no store.`;

interface Flags {
  readonly tenant?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: boolean;
  readonly stateStore?: string;
  readonly blobRoot?: string;
}

/** `beamline usage` */
export const addUsage: AddCommand = (command, cli, action) => {
  addStoreFlags(command)
    .description('Shows what tenants have used: steps, failures, CPU time, memory, bytes, approvals, by day.')
    .option('--tenant <NAME>', 'only this tenant')
    .option('--from <DAY>', 'first day, such as 2026-11-01', parseDay)
    .option('--to <DAY>', 'last day', parseDay)
    .option('--json', 'print one JSON object: days, totals')
    .addHelpText('after', EXAMPLES)
    .action(action((flags: Flags) => showUsage(flags, cli)));
};

function addStoreFlags(command: Command): Command {
  return command
    .option('--state-store <URL>', `state store of the workers (env: ${STORE_VARIABLE}; default: in their blob root)`)
    .option(
      '--blob-root <DIR>',
      `blob root of the workers (env: ${BLOB_ROOT_VARIABLE}; default: ${DEFAULT_BLOB_ROOT})`,
    );
}

function parseDay(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time) && new Date(time).toISOString().startsWith(text)) return text;
  throw new InvalidArgumentError('Expected a day, such as 2026-11-28.');
}

async function showUsage(flags: Flags, cli: Cli): Promise<ExitCode> {
  const { tenant, from, to, json } = flags;
  if (from !== undefined && to !== undefined && from > to) {
    throw usageError(`--from ${from} is after --to ${to}; expected the first day, then the last`);
  }
  const days = await readDays(storeOf(flags, cli), { tenant, from, to });
  if (json === true) cli.out.line(JSON.stringify({ days, totals: sumUsage(days) }));
  else if (days.length === 0) cli.out.line('nothing was used');
  else for (const line of usageTable(days, cli.out.style)) cli.out.line(line);
  return EXIT.done;
}

/** A variable that is set to nothing is how shells and containers take one away. */
function storeOf({ stateStore, blobRoot }: Flags, { env, cwd }: Cli): StateStoreConfig {
  const text = stateStore ?? env[STORE_VARIABLE] ?? '';
  const root = resolve(cwd, blobRoot ?? (env[BLOB_ROOT_VARIABLE] || DEFAULT_BLOB_ROOT));
  const config = parseStateStore(text, { cwd, blobRoot: root });
  // Opening would make an empty one, in which nobody ever used anything.
  if (config.kind === 'sqlite' && !existsSync(config.file)) {
    const detail = `there is no state store at ${config.file}; name that of the workers with --state-store or --blob-root`;
    throw flowError('BLW_CONFIG', detail);
  }
  return config;
}

async function readDays(config: StateStoreConfig, range: UsageRange): Promise<readonly UsageDay[]> {
  const store = openStateStore(config);
  try {
    return await runOrExplain(store, range);
  } finally {
    await store.close();
  }
}

async function runOrExplain(store: StateStore, range: UsageRange): Promise<readonly UsageDay[]> {
  try {
    return await store.run(() => readUsage(range));
  } catch (cause) {
    if (!(cause instanceof StateStoreUnavailable)) throw cause;
    throw new CommandError(flowError('BLW_STATE_STORE', cause.message, { cause }), EXIT.failed);
  }
}
