import type { ListedLetter, ResolveAnswer } from '../dsl/dead-letter';
import { formatDuration } from '../dsl/durations';
import { flowErrorToJson } from '../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { RESOLVE_UPDATE } from '../dsl/names';
import type { Cli } from './cli';
import { beamlineCommand } from './command-name';
import { type ConnectionFlags, repeatFlags } from './connection-flags';
import type { FoundLetter } from './dead-letter-list';
import { printable, printableIndented, type Style, shellWord, type TextOutput } from './output';
import { formatTable } from './table';

const HEADER = ['ID', 'STEP', 'BLOCK', 'CODE', 'ATTEMPTS', 'AGE', 'FLOW', 'TENANT'];

/** Arguments that a correction is most often about, in this order. */
const CORRECTED = ['body', 'query', 'parameters', 'content'];

/** Nobody decides in the place of those who are asked: it can be retried as it was, or discarded. */
const APPROVAL = 'human.approval';

/** Longest value that is put into a command to be copied. */
const MAX_COPIED_LENGTH = 400;

/** The table of `dlq list`. */
export function letterTable(letters: readonly FoundLetter[], now: number, style: Style): string[] {
  return formatTable(
    HEADER,
    letters.map((found) => rowOf(found, now).map(printable)),
    style,
  );
}

function rowOf({ flow, tenant, name, letter, unreadable }: FoundLetter, now: number): string[] {
  if (unreadable !== undefined)
    return [flow.id, `(cannot be read: ${unreadable.data.code})`, '', '', '', '', name, tenant];
  if (letter === undefined) return [flow.id, '(no worker answers)', '', '', '', '', name, tenant];
  const { id, block, error, attempts, failedAt } = letter;
  return [flow.id, id, block, codeOf(error), `${attempts ?? ''}`, ageOf(failedAt, now), name, tenant];
}

/** What scripts read of a dead letter: `id` is its own, as the update `resolve` takes it. */
export function letterToJson({ flow, tenant, name, letter, needsToken, unreadable }: FoundLetter): JsonObject {
  // A letter has come as JSON; its type only says what is in it.
  const rest = letter as unknown as JsonObject | undefined;
  return {
    workflowId: flow.id,
    runId: flow.runId,
    flow: name,
    tenant,
    ...rest,
    ...(unreadable === undefined ? {} : { error: flowErrorToJson(unreadable.data) }),
    ...(needsToken === undefined ? {} : { needsToken }),
  };
}

/** How a person shows a token, in a command to be copied. */
export const TOKEN_FLAGS = ' --token-file token.jwt --seal-key seal-key.json';

/** How the commands to be copied begin and end. */
export interface CommandParts {
  /** `npx beamline` */
  readonly beamline: string;
  /** Flags that say where Temporal is, each with a blank before it. */
  readonly connection: string;
  /** The same for the Temporal CLI. */
  readonly temporalConnection: string;
}

/** These, of a command's flags. */
export function commandParts(flags: ConnectionFlags, { cwd }: Pick<Cli, 'cwd'>): CommandParts {
  const { address, namespace } = flags;
  return {
    beamline: beamlineCommand(cwd),
    connection: repeatFlags(flags),
    temporalConnection: repeatFlags({
      ...(address === undefined ? {} : { address }),
      ...(namespace === undefined ? {} : { namespace }),
    }),
  };
}

/** Prints all that is known of one dead letter, and what can be done. */
export function printLetter(
  found: FoundLetter & { readonly letter: ListedLetter },
  { output, now, parts }: { output: TextOutput; now: number; parts: CommandParts },
): void {
  const { flow, tenant, name, letter } = found;
  const { id, block, failedIn, error, attempts, retries, failedAt } = letter;
  const { style } = output;
  output.line(style.bold(printable(letter.name)));
  const rows: [string, string | undefined][] = [
    ['id', flow.id],
    ['step', id],
    ['flow', name],
    ['tenant', tenant],
    ['block', block],
    ['failed', `${new Date(failedAt).toISOString()}, ${ageOf(failedAt, now)} ago; ${PLACES[failedIn]}`],
    ['attempts', attempts === undefined ? undefined : `${attempts}`],
    ['retried', retries === 0 ? undefined : `${retries} times as a dead letter`],
    ['error', `${codeOf(error)}: ${textOf(error)}`],
  ];
  for (const [key, value] of rows) if (value !== undefined) output.line(`  ${key.padEnd(10)} ${printable(value)}`);
  printJson('input', letter.input, output);
  printJson('with', letter.with, output);
  printJson('error', error, output);
  output.line();
  output.line('What to do next:');
  for (const command of nextCommands(found, parts)) output.line(`  ${command}`);
}

const PLACES = {
  input: 'its arguments could not be made',
  run: 'it failed',
  output: 'it is done, and its output could not be transformed',
} as const;

function printJson(name: string, value: Json | undefined, output: TextOutput): void {
  if (value === undefined) return;
  output.line();
  output.line(`  ${name}:`);
  for (const line of JSON.stringify(value, undefined, 2).split('\n')) output.line(`    ${printableIndented(line)}`);
}

/** Commands that work once what is in capitals is filled in, and the token, which only the person has. */
function nextCommands(
  { flow, letter, needsToken }: FoundLetter & { readonly letter: ListedLetter },
  { beamline, connection, temporalConnection }: CommandParts,
): string[] {
  const token = needsToken === true ? TOKEN_FLAGS : '';
  const command = (action: string, more = '') =>
    `${beamline} dlq ${action} ${shellWord(flow.id)} ${shellWord(letter.id)}${more}${token}${connection}`;
  const flags = retryFlags(letter).map((more) => command('retry', more));
  const isApproval = letter.block === APPROVAL;
  const resolution = { id: letter.id, action: letter.failedIn === 'run' ? 'retry' : isApproval ? 'discard' : 'skip' };
  const skips = [
    `# ${letter.failedIn === 'output' ? SKIPPED.undone : SKIPPED.bare}`,
    command('skip'),
    `# ${SKIPPED.done}`,
    command('skip', ' --output CHANGED'),
  ];
  const update = `temporal workflow update execute --workflow-id ${shellWord(flow.id)} --name ${RESOLVE_UPDATE}`;
  return [
    ...flags,
    ...(isApproval ? [] : skips),
    command('discard'),
    ...(needsToken === true ? [] : [`${update} --input ${shellWord(JSON.stringify(resolution))}${temporalConnection}`]),
  ];
}

/** What a skip means, without an output (of a step that failed, or that is done) and with one. */
const SKIPPED = {
  bare: 'Goes on without the step, with its input, as where its `if` says no:',
  undone: 'Goes on with the input of the step, which is done, and undone where the flow fails later:',
  done: 'Takes it for done, with this output (also for export.as), and undone where the flow fails later:',
};

function retryFlags({ block, failedIn, input, with: args }: ListedLetter): string[] {
  if (failedIn === 'output' || (block === APPROVAL && failedIn === 'input')) return [];
  const inputFlag =
    input === undefined ? ' --input @input.json' : ` --input ${shellWord(copied(input) ?? '@input.json')}`;
  if (failedIn === 'input') return [inputFlag];
  const key = CORRECTED.find((one) => args?.[one] !== undefined);
  // No JSON, so that it does nothing before somebody has said what is to be other.
  return ['', ...(key === undefined ? [] : [` --with '{"${key}": CHANGED}'`])];
}

/** As JSON, where it is short and hides nothing. */
function copied(value: Json): string | undefined {
  const text = JSON.stringify(value);
  return text.length > MAX_COPIED_LENGTH || text.includes('***') ? undefined : text;
}

function ageOf(failedAt: number, now: number): string {
  return formatDuration(Math.max(0, now - failedAt));
}

function codeOf({ code, type }: JsonObject): string {
  if (typeof code === 'string') return code;
  return typeof type === 'string' ? (type.split('/').at(-1) ?? type) : '';
}

function textOf({ detail, title }: JsonObject): string {
  return typeof detail === 'string' ? detail : typeof title === 'string' ? title : '';
}

const DONE = { retry: 'runs again', skip: 'skipped', discard: 'discarded' } as const;

/** One line that says what a resolution did. */
export function resolvedLine(flowId: string, { id, action, by, left }: ResolveAnswer): string {
  const who = by === undefined ? '' : ` by ${by}`;
  const rest = left === 0 ? '' : `; ${left} more dead ${left === 1 ? 'letter waits' : 'letters wait'} in this flow`;
  return printable(`${DONE[action]}${who}: ${id} of ${flowId}${rest}`);
}

/** An error as JSON of this program has it, on one line. */
export function refusalLine(found: FoundLetter, error: Json): string {
  const { code = '', detail = '' } = isJsonObject(error) ? error : {};
  return printable(`${found.flow.id} ${found.letter?.id ?? ''}: ${String(detail)} [${String(code)}]`);
}
