import type { Client } from '@temporalio/client';
import type {
  DeadLetter,
  DeadLetters,
  DeadLettersQueryInput,
  ListedLetter,
  Resolution,
  ResolveAnswer,
} from '../dsl/dead-letter';
import { DEAD_LETTERS_QUERY, RESOLVE_UPDATE } from '../dsl/names';
import { resolutionPurpose } from '../worker/identity/sealed-token';
import { CommandError } from './command-error';
import { ANSWER_TIMEOUT_MS } from './no-answer';
import { queryRun } from './query-run';
import type { Seal } from './token-flags';
import { updateRefusal } from './update-refusal';

/** Runs of one flow that a token is sealed for, one after the other, while it continues as new. */
const MAX_SEALS = 5;

/** A flow, or a batch of one, as it is called. */
export interface FlowAddress {
  /** Workflow id. */
  readonly id: string;
  readonly runId: string;
  readonly taskQueue: string;
}

/** What a flow says of its dead letters. Throws as {@link queryRun} does. */
export async function readLetters(
  client: Client,
  { id, taskQueue }: FlowAddress,
  input: DeadLettersQueryInput = {},
  timeoutMs: number = ANSWER_TIMEOUT_MS,
): Promise<DeadLetters> {
  return await queryRun(client, { workflowId: id, taskQueue }, DEAD_LETTERS_QUERY, { args: [input], timeoutMs });
}

/** The same, with all of its dead letters, page by page. */
export async function readAllLetters(client: Client, flow: FlowAddress, timeoutMs?: number): Promise<DeadLetters> {
  const all = new Map<string, ListedLetter>();
  for (let input: DeadLettersQueryInput = {}; ; ) {
    const answer = await readLetters(client, flow, input, timeoutMs);
    const known = all.size;
    for (const letter of answer.letters) all.set(letter.id, letter);
    const last = answer.letters.at(-1);
    // Nothing new: the last one was resolved meanwhile, and it began again from the first.
    if (answer.hasMore !== true || last === undefined || all.size === known)
      return { ...answer, letters: [...all.values()] };
    input = { after: last.id };
  }
}

/**
 * Says what becomes of a dead letter. With a seal, the token is sealed for the run that waits; where the flow continues as new meanwhile,
 * again for the next one. What is meant is the failure that was read: where the step has failed again since, it is refused. Throws, with exit code 1, the error that the flow refuses it with, and BLW_TEMPORAL_UNREACHABLE where no worker
 * answers.
 */
export async function resolveLetter(
  client: Client,
  flow: FlowAddress,
  {
    letter,
    said,
    seal,
  }: {
    letter: Pick<DeadLetter, 'id' | 'failedAt'>;
    said: Omit<Resolution, 'id' | 'failedAt' | 'token'>;
    seal: Seal | undefined;
  },
): Promise<ResolveAnswer> {
  let { runId } = flow;
  for (let seals = 1; ; seals += 1) {
    const place = { namespace: client.options.namespace, workflowId: flow.id, runId };
    const token = await seal?.(resolutionPurpose(place, letter, said));
    try {
      const { id, failedAt } = letter;
      return await send(client, flow, { id, failedAt, ...said, ...(token === undefined ? {} : { token }) });
    } catch (error) {
      const now = isTokenRefused(error) && seals < MAX_SEALS ? await runIdOf(client, flow) : runId;
      if (now === runId) throw error;
      runId = now;
    }
  }
}

async function send(client: Client, flow: FlowAddress, resolution: Resolution): Promise<ResolveAnswer> {
  try {
    return await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      client.workflow
        .getHandle(flow.id)
        .executeUpdate<ResolveAnswer, [Resolution]>(RESOLVE_UPDATE, { args: [resolution] }),
    );
  } catch (error) {
    const detail = `the flow "${flow.id}" has ended, and its dead letters with it`;
    throw updateRefusal(error, {
      taskQueue: flow.taskQueue,
      ended: { code: 'BLW_DEAD_LETTER_UNKNOWN', detail },
      helpIfSilent: 'Look with `beamline dlq show` whether it was resolved after all, before you do it again.',
    });
  }
}

async function runIdOf(client: Client, { id }: FlowAddress): Promise<string> {
  return (await client.workflow.getHandle(id).describe()).runId;
}

function isTokenRefused(error: unknown): boolean {
  return error instanceof CommandError && error.error.data.code === 'BLW_TOKEN_INVALID';
}
