import type { Client } from '@temporalio/client';
import type { ListedLetter } from '../dsl/dead-letter';
import { RUN_FLOW, RUN_WINDOW } from '../dsl/names';
import { listNames } from '../dsl/problems';
import { usageError } from './command-error';
import { type FlowAddress, readAllLetters, readLetters } from './dead-letter-client';
import { type FoundLetter, parkedBatchesOf } from './dead-letter-list';
import { describeRun } from './describe-run';

/** Batches that are looked into where the flow itself has no dead letters. */
const MAX_BATCHES = 20;

/** A dead letter that is there. */
export type KnownLetter = FoundLetter & { readonly letter: ListedLetter };

/**
 * The dead letters of a flow, or of the batches of its loops where it has none itself, whole; `step` is the id of one of them. Throws
 * BLW_USAGE (exit code 2) where there is no such flow or none waits.
 */
export async function lookUpLetters(client: Client, id: string, step?: string): Promise<readonly KnownLetter[]> {
  const description = await describeRun(client, { workflowId: id });
  if (description === undefined || ![RUN_FLOW, RUN_WINDOW].includes(description.type)) {
    const what = description === undefined ? 'there is no flow with the id' : 'this is the id of no flow:';
    throw usageError(`${what} "${id}"`, { help: 'See `beamline dlq list` for those with dead letters.' });
  }
  const { runId, taskQueue, status } = description;
  if (status.name !== 'RUNNING') {
    throw usageError(`the flow "${id}" has ended (${status.name.toLowerCase()}); nothing of it waits`, {
      help: 'See `beamline dlq list` for those with dead letters.',
    });
  }
  const found = await lettersOf(client, { id, runId, taskQueue });
  if (found.length === 0) found.push(...(await lettersOfBatches(client, id)));
  if (found.length === 0) throw usageError(`the flow "${id}" has no dead letter`, { help: 'See `beamline dlq list`.' });
  if (step === undefined) return found;
  const meant = found.filter(({ letter }) => letter.id === step || letter.name === step);
  if (meant.length > 0) return meant;
  throw usageError(`${step} is no dead letter of the flow "${id}"; these are: ${namesOf(found)}`, {
    help: 'Name one of them, as the first column of STEP has it in `beamline dlq list`.',
  });
}

/** As {@link lookUpLetters}, where exactly one is meant. */
export async function lookUpLetter(client: Client, id: string, step?: string): Promise<KnownLetter> {
  const found = await lookUpLetters(client, id, step);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw usageError(`${found.length} dead letters of the flow "${id}" wait: ${namesOf(found)}`, {
    help: 'Name the step of one of them behind the id.',
  });
}

/** With what a list had to leave out. */
export async function readWhole(client: Client, found: KnownLetter): Promise<KnownLetter> {
  if (found.letter.isCut !== true) return found;
  const { letters } = await readLetters(client, found.flow, { id: found.letter.id });
  const [letter = found.letter] = letters;
  return { ...found, letter };
}

/** The dead letters of a flow, or of a batch of one, by itself. */
export async function lettersOf(client: Client, flow: FlowAddress): Promise<KnownLetter[]> {
  const { letters, tenant, flow: name, needsToken } = await readAllLetters(client, flow);
  const more = needsToken === undefined ? {} : { needsToken };
  return letters.map((letter) => ({ flow, tenant, name, letter, ...more }));
}

/** Those of the batches of a flow's loops. */
export async function lettersOfBatches(client: Client, id: string): Promise<KnownLetter[]> {
  const batches = await parkedBatchesOf(client, id);
  const found = await Promise.all(batches.slice(0, MAX_BATCHES).map((batch) => lettersOf(client, batch)));
  return found.flat();
}

function namesOf(found: readonly KnownLetter[]): string {
  return listNames(found.map(({ flow, letter }) => `${flow.id} ${letter.id}`));
}
