import { type Command, Option } from 'commander';
import type { Resolution } from '../../dsl/dead-letter';
import { isJsonObject } from '../../dsl/json';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { addConnectionFlags, addDataFlags, type ConnectionFlags, dataTargetOf } from '../connection-flags';
import { resolveAll } from '../dead-letter-bulk';
import { resolveLetter } from '../dead-letter-client';
import { addFilterFlags, filterOf, isUnfiltered, type LetterFilter } from '../dead-letter-filter';
import { findLetters } from '../dead-letter-list';
import { lookUpLetter, lookUpLetters, readWhole } from '../dead-letter-lookup';
import { commandParts, letterTable, letterToJson, printLetter, resolvedLine } from '../dead-letter-view';
import { EXIT, type ExitCode } from '../exit-codes';
import { readJsonArgument } from '../json-argument';
import { limitUpTo } from '../limit-flag';
import { withTemporal } from '../temporal-session';
import { addTokenFlags, readSeal, type TokenFlags } from '../token-flags';
import { tellUnreadableRows } from '../unreadable-flow';

const MAX_LISTED = 1_000;
const MAX_RESOLVED = 1_000_000;

const EXAMPLES = `
Examples:
  $ beamline dlq list --tenant acme --code BLW_HTTP_STATUS
  $ beamline dlq show order-4711
  $ beamline dlq retry order-4711 --by alice
  $ beamline dlq retry order-4711 /do/2/charge --with '{"body": {"amount": 12}}'
  $ beamline dlq skip order-4711 --output '{"charged": false}' --comment "paid by hand"
  $ beamline dlq retry --flow shop/order --since 2h --dry-run
  $ beamline dlq discard --all --yes

A dead letter is a step that failed for good, and holds its flow up until somebody says what becomes of it. An ID is the flow's
workflow id, or that of a batch of a loop. Exit codes: 0 done; 1 a flow refused it; 2 bad usage, or there is no such dead
letter; 3 Temporal cannot be reached.`;

const LIST_EXAMPLES = `
Examples:
  $ beamline dlq list
  $ beamline dlq list --tenant acme --flow shop/order --block http.request
  $ beamline dlq list --code BLW_HTTP_STATUS --since 2h --json
  $ beamline dlq list --since 2026-11-28T08:00:00Z --until 2026-11-28T12:00:00Z`;

const SHOW_EXAMPLES = `
Examples:
  $ beamline dlq show order-4711
  $ beamline dlq show order-4711 /do/2/charge --json`;

const ACTIONS = {
  retry: {
    description: 'Runs the step again, as it was or corrected; the flow goes on from there.',
    examples: `
Examples:
  $ beamline dlq retry order-4711
  $ beamline dlq retry order-4711 /do/2/charge --by alice --comment "the service is back"
  $ beamline dlq retry order-4711 --with '{"body": {"amount": 12}}'
  $ beamline dlq retry order-4711 --input @corrected.json
  $ beamline dlq retry --tenant acme --code BLW_HTTP_STATUS --since 2h --yes
  $ beamline dlq retry order-4711 --token-file token.jwt --seal-key seal-key.json

--with is a JSON merge patch on the arguments; what it does not name stays. Where the arguments stay the same, the step has
the same idempotency key as before, so that what it did after all is not done twice.`,
  },
  skip: {
    description: 'Goes on behind the step: without it, or taking it for done where there is an output.',
    examples: `
Examples:
  $ beamline dlq skip order-4711
  $ beamline dlq skip order-4711 /do/2/charge --output '{"charged": false}'
  $ beamline dlq skip --flow shop/order:1.0.0 --block http.request --yes`,
  },
  discard: {
    description: 'Lets the step fail: its flow fails, or catches the error, and undoes what it has compensations for.',
    examples: `
Examples:
  $ beamline dlq discard order-4711 --by alice --comment "cancelled by the customer"
  $ beamline dlq discard --tenant acme --until 30d --dry-run`,
  },
} as const;

type Action = keyof typeof ACTIONS;

type ListFlags = ConnectionFlags & LetterFilter & { readonly limit: number; readonly json?: boolean };

type ShowFlags = ConnectionFlags & { readonly json?: boolean };

interface ResolveFlags extends ConnectionFlags, TokenFlags, LetterFilter {
  readonly with?: string;
  readonly input?: string;
  readonly output?: string;
  readonly by?: string;
  readonly comment?: string;
  readonly all?: boolean;
  readonly limit?: number;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** `beamline dlq list|show|retry|skip|discard` */
export const addDlq: AddCommand = (command, cli, action) => {
  command
    .description('Lists steps that failed for good and wait as dead letters, and says what becomes of them.')
    .addHelpText('after', EXAMPLES);
  const list = addFilterFlags(
    command.command('list').description('Lists the dead letters that wait, those of the newest flows first.'),
  )
    .addOption(new Option('--limit <N>', 'at most so many').default(100).argParser(limitUpTo(MAX_LISTED)))
    .option('--json', 'print one JSON object: deadLetters, hasMore');
  addDataFlags(addConnectionFlags(list))
    .addHelpText('after', LIST_EXAMPLES)
    .action(action((flags: ListFlags) => showList(flags, cli)));
  const show = command
    .command('show')
    .description('Shows what failed, with which arguments, why, and what can be done.')
    .argument('<id>', 'id of the flow')
    .argument('[step]', 'id of the dead letter; without it, all of the flow')
    .option('--json', 'print one JSON object: deadLetters');
  addDataFlags(addConnectionFlags(show))
    .addHelpText('after', SHOW_EXAMPLES)
    .action(action((id: string, step: string | undefined, flags: ShowFlags) => showFlow(id, step, { flags, cli })));
  for (const name of Object.keys(ACTIONS) as Action[]) {
    addResolve(command, name).action(
      action((id: string | undefined, step: string | undefined, flags: ResolveFlags) =>
        resolve(name, { id, step, flags, cli }),
      ),
    );
  }
};

function addResolve(parent: Command, name: Action): Command {
  const { description, examples } = ACTIONS[name];
  const command = parent
    .command(name)
    .description(description)
    .argument('[id]', 'id of the flow; without it, those that the filters say')
    .argument('[step]', 'id of the dead letter; may be left out where one waits');
  if (name === 'retry') {
    command
      .option('--with <JSON>', 'changes to the arguments, a JSON merge patch: JSON, @FILE, or - for standard input')
      .addOption(
        new Option('--input <JSON>', 'what the step gets instead of its input: JSON, @FILE, or -').conflicts('with'),
      );
  }
  if (name === 'skip')
    command.option(
      '--output <JSON>',
      'the step was done, with this output: JSON, @FILE, or - (default: its input goes on)',
    );
  command.option('--by <NAME>', 'who says so; where a token is needed, it says it').option('--comment <TEXT>', 'why');
  addFilterFlags(command)
    .option('--all', 'all dead letters that there are')
    .addOption(new Option('--limit <N>', 'at most so many').argParser(limitUpTo(MAX_RESOLVED)))
    .option('--dry-run', 'print what would be done, and do nothing')
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON object');
  return addDataFlags(addConnectionFlags(addTokenFlags(command))).addHelpText('after', examples);
}

async function showList(flags: ListFlags, cli: Cli): Promise<ExitCode> {
  const { limit } = flags;
  const filter = filterOf(flags);
  const { letters, hasMore } = await withTemporal(dataTargetOf(flags, cli), ({ client }) =>
    findLetters(client, filter, limit),
  );
  const unreadable = letters.find((found) => found.unreadable !== undefined)?.unreadable;
  if (unreadable !== undefined) tellUnreadableRows(unreadable, cli);
  if (flags.json === true) {
    cli.out.line(JSON.stringify({ deadLetters: letters.map(letterToJson), hasMore }));
    return EXIT.done;
  }
  if (letters.length === 0) cli.out.line('no dead letter waits');
  else for (const line of letterTable(letters, Date.now(), cli.out.style)) cli.out.line(line);
  if (hasMore) cli.err.line(`there are more than ${limit}; see them with --limit`);
  return EXIT.done;
}

async function showFlow(
  id: string,
  step: string | undefined,
  { flags, cli }: { flags: ShowFlags; cli: Cli },
): Promise<ExitCode> {
  const letters = await withTemporal(dataTargetOf(flags, cli), async ({ client }) => {
    const found = await lookUpLetters(client, id, step);
    return await Promise.all(found.map((one) => readWhole(client, one)));
  });
  if (flags.json === true) {
    cli.out.line(JSON.stringify({ deadLetters: letters.map(letterToJson) }));
    return EXIT.done;
  }
  for (const [index, letter] of letters.entries()) {
    if (index > 0) cli.out.line();
    printLetter(letter, { output: cli.out, now: Date.now(), parts: commandParts(flags, cli) });
  }
  return EXIT.done;
}

interface ResolveCall {
  readonly id: string | undefined;
  readonly step: string | undefined;
  readonly flags: ResolveFlags;
  readonly cli: Cli;
}

async function resolve(action: Action, call: ResolveCall): Promise<ExitCode> {
  const { id, step, flags, cli } = call;
  checkWhich(action, call);
  const seal = await readSeal(flags, cli);
  const said = await saidOf(action, flags, cli);
  return await withTemporal(dataTargetOf(flags, cli), async ({ client }) => {
    if (id === undefined) {
      const { letters } = await findLetters(client, filterOf(flags), flags.limit);
      return await resolveAll(client, { letters, said, seal }, { flags, cli });
    }
    const found = await lookUpLetter(client, id, step);
    if (flags.dryRun === true) return await resolveAll(client, { letters: [found], said, seal }, { flags, cli });
    const answer = await resolveLetter(client, found.flow, { letter: found.letter, said, seal });
    const json = { workflowId: found.flow.id, ...answer };
    cli.out.line(flags.json === true ? JSON.stringify(json) : resolvedLine(found.flow.id, answer));
    return EXIT.done;
  });
}

/** Nothing is done to many by leaving something out. */
function checkWhich(action: Action, { id, flags }: ResolveCall): void {
  const isFiltered = !isUnfiltered(flags);
  if (id !== undefined && (isFiltered || flags.all === true || flags.limit !== undefined))
    throw usageError('an ID is for one flow, and the filters, --limit and --all for many; expected one of both');
  if (id === undefined && !isFiltered && flags.all !== true) {
    throw usageError(`which dead letters? Expected an ID, a filter such as --tenant NAME, or --all`, {
      help: `See what there is with \`beamline dlq list\`, and what would be done with \`beamline dlq ${action} --all --dry-run\`.`,
    });
  }
  if (isFiltered && flags.all === true) throw usageError('--all: is everything; leave it out beside a filter');
}

async function saidOf(
  action: Action,
  flags: ResolveFlags,
  cli: Cli,
): Promise<Omit<Resolution, 'id' | 'failedAt' | 'token'>> {
  const { by, comment } = flags;
  const patch = flags.with === undefined ? undefined : await readJsonArgument('--with', flags.with, cli);
  if (patch !== undefined && !isJsonObject(patch))
    throw usageError('--with: expected a JSON object, the changes to the arguments');
  return {
    action,
    ...(patch === undefined ? {} : { with: patch }),
    ...(flags.input === undefined ? {} : { input: await readJsonArgument('--input', flags.input, cli) }),
    ...(flags.output === undefined ? {} : { output: await readJsonArgument('--output', flags.output, cli) }),
    ...(by === undefined ? {} : { by }),
    ...(comment === undefined ? {} : { comment }),
  };
}
