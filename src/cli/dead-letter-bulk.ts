import { createInterface } from 'node:readline/promises';
import type { Client } from '@temporalio/client';
import type { Resolution } from '../dsl/dead-letter';
import { flowError } from '../dsl/errors';
import type { JsonObject } from '../dsl/json';
import { mapBounded } from './bounded';
import type { Cli } from './cli';
import { CommandError, errorDataOf, usageError } from './command-error';
import { resolveLetter } from './dead-letter-client';
import type { FoundLetter } from './dead-letter-list';
import { letterTable, letterToJson, refusalLine } from './dead-letter-view';
import { EXIT, type ExitCode } from './exit-codes';
import type { Seal } from './token-flags';
import { startWorkerHint } from './worker-presence';

/** Resolutions under way at a time. */
const RESOLUTIONS_AT_ONCE = 8;

/** Rows of a table that a person is asked about; the rest are counted. */
const SHOWN_ROWS = 50;

/** What is to be done with many dead letters. */
export interface BulkRequest {
  readonly letters: readonly FoundLetter[];
  readonly said: Omit<Resolution, 'id' | 'failedAt' | 'token'>;
  readonly seal: Seal | undefined;
}

/** Values of flags that say how it is done. */
export interface BulkFlags {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

type Refusal = { readonly found: FoundLetter; readonly error: JsonObject };

/**
 * Resolves many dead letters, a few at a time. What one flow refuses is told, and does not stop the others. Exit code 1 where any was
 * refused, or the person says no. Throws BLW_USAGE where there is nobody to ask.
 */
export async function resolveAll(
  client: Client,
  request: BulkRequest,
  { flags, cli }: { flags: BulkFlags; cli: Cli },
): Promise<ExitCode> {
  const { letters, said } = request;
  if (flags.dryRun === true || letters.length === 0) {
    printPlan(request, { flags, cli });
    return EXIT.done;
  }
  if (flags.yes !== true && !(await isConfirmed(request, cli))) {
    cli.err.line('nothing was done');
    return EXIT.failed;
  }
  const outcomes = await mapBounded(letters, RESOLUTIONS_AT_ONCE, (found) => resolveOne(client, found, request));
  const refusals = outcomes.filter((outcome) => outcome !== undefined);
  const resolved = letters.filter((_, index) => outcomes[index] === undefined);
  if (flags.json === true) {
    const refused = refusals.map(({ found, error }) => ({ ...shortJsonOf(found), error }));
    cli.out.line(JSON.stringify({ action: said.action, resolved: resolved.map(shortJsonOf), refused }));
  } else {
    for (const { found, error } of refusals)
      cli.err.line(`${cli.err.style.red('refused:')} ${refusalLine(found, error)}`);
    cli.out.line(summaryOf(said.action, { resolved, all: letters }));
  }
  return refusals.length === 0 ? EXIT.done : EXIT.failed;
}

/** Undefined where it was done; an error of the connection is one of this letter's too, so that the others are told. */
async function resolveOne(
  client: Client,
  found: FoundLetter,
  { said, seal }: BulkRequest,
): Promise<Refusal | undefined> {
  const { flow, letter, unreadable } = found;
  try {
    if (unreadable !== undefined) throw unreadable;
    if (letter === undefined) throw silent(flow.taskQueue);
    await resolveLetter(client, flow, { letter, said, seal });
    return undefined;
  } catch (error) {
    return { found, error: errorDataOf(error) };
  }
}

function silent(taskQueue: string): CommandError {
  const detail = `no worker of ${taskQueue} answers, so that its dead letters are not known; ${startWorkerHint(taskQueue)}`;
  return new CommandError(flowError('BLW_TEMPORAL_UNREACHABLE', detail), EXIT.failed);
}

function printPlan({ letters, said }: BulkRequest, { flags, cli }: { flags: BulkFlags; cli: Cli }): void {
  const { action } = said;
  if (flags.json === true) {
    const wouldResolve = letters.map(letterToJson);
    cli.out.line(
      JSON.stringify(flags.dryRun === true ? { action, wouldResolve } : { action, resolved: [], refused: [] }),
    );
    return;
  }
  if (letters.length === 0) {
    cli.out.line('no dead letter matches; nothing to do');
    return;
  }
  for (const line of letterTable(letters, Date.now(), cli.out.style)) cli.out.line(line);
  cli.out.line(`would ${action} ${countOf(letters)}; nothing was done (--dry-run)`);
}

async function isConfirmed({ letters, said }: BulkRequest, { stdin, err }: Cli): Promise<boolean> {
  const what = `${said.action} ${countOf(letters)}`;
  if ((stdin as NodeJS.ReadStream).isTTY !== true) {
    throw usageError(`would ${what}, and there is nobody to ask`, {
      help: 'Add --yes to do it, or --dry-run to see what it would do.',
    });
  }
  for (const line of letterTable(letters.slice(0, SHOWN_ROWS), Date.now(), err.style)) err.line(line);
  if (letters.length > SHOWN_ROWS) err.line(`… and ${letters.length - SHOWN_ROWS} more`);
  err.line(`${what}? Type "yes" to do it.`);
  const reader = createInterface({ input: stdin });
  try {
    for await (const line of reader) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    reader.close();
  }
}

const PAST = { retry: 'retried', skip: 'skipped', discard: 'discarded' } as const;

function summaryOf(
  action: Resolution['action'],
  { resolved, all }: { resolved: readonly FoundLetter[]; all: readonly FoundLetter[] },
): string {
  if (resolved.length === all.length) return `${PAST[action]} ${countOf(all)}`;
  return `${PAST[action]} ${resolved.length} of ${countOf(all)}; ${all.length - resolved.length} refused`;
}

function countOf(letters: readonly FoundLetter[]): string {
  const flows = new Set(letters.map(({ flow }) => flow.id)).size;
  const [letterWord, flowWord] = [letters.length === 1 ? 'letter' : 'letters', flows === 1 ? 'flow' : 'flows'];
  return `${letters.length} dead ${letterWord} of ${flows} ${flowWord}`;
}

function shortJsonOf({ flow, letter }: FoundLetter): JsonObject {
  return { workflowId: flow.id, ...(letter === undefined ? {} : { id: letter.id }) };
}
