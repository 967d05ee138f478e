import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { ListedLetter } from '../dsl/dead-letter';
import type { FlowError } from '../dsl/errors';
import { RUN_WINDOW } from '../dsl/names';
import { quote } from './approval-client';
import { mapBounded } from './bounded';
import { CommandError } from './command-error';
import { type FlowAddress, readAllLetters } from './dead-letter-client';
import { type LetterFilter, matchesFilter, visibilityQuery } from './dead-letter-filter';
import { attributeOf } from './flow-attributes';
import { StuckRunError } from './query-run';
import { unreadableError } from './unreadable-flow';
import { hasWorker } from './worker-presence';

/** Queries at a time; each replays the flow where no worker has it in memory. */
const QUERIES_AT_ONCE = 8;

/** Flows that are asked before it is looked whether that is enough. */
const FLOWS_AT_ONCE = 64;

/** Longest wait for one answer; a list is of use without them too. */
const QUERY_TIMEOUT_MS = 4_000;

/** A dead letter of a flow; `letter` is absent where no worker answers, or nothing can be read here, so that nothing else is known. */
export interface FoundLetter {
  readonly flow: FlowAddress;
  readonly tenant: string;
  /** `namespace/name:version` */
  readonly name: string;
  readonly letter?: ListedLetter;
  /** Why the flow's answer cannot be read here. */
  readonly unreadable?: FlowError;
  /** A resolution needs a token. */
  readonly needsToken?: true;
}

/** The dead letters that match, those of the newest flows first, and whether there are more than `limit`. */
export async function findLetters(
  client: Client,
  filter: LetterFilter,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ letters: readonly FoundLetter[]; hasMore: boolean }> {
  const reader = new LetterReader(client, filter);
  const found: FoundLetter[] = [];
  let chunk: WorkflowExecutionInfo[] = [];
  const readChunk = async () => {
    found.push(...(await mapBounded(chunk, QUERIES_AT_ONCE, (info) => reader.read(info))).flat());
    chunk = [];
  };
  for await (const info of client.workflow.list({ query: visibilityQuery(filter) })) {
    chunk.push(info);
    if (chunk.length === FLOWS_AT_ONCE) await readChunk();
    if (found.length > limit) break;
  }
  await readChunk();
  return { letters: found.slice(0, limit), hasMore: found.length > limit };
}

/** The batches of a flow that have dead letters. */
export async function parkedBatchesOf(client: Client, flowId: string): Promise<readonly FlowAddress[]> {
  const query = `${visibilityQuery({})} AND WorkflowType = ${quote(RUN_WINDOW)} AND WorkflowId STARTS_WITH ${quote(`${flowId}/`)}`;
  const found: FlowAddress[] = [];
  for await (const { workflowId: id, runId, taskQueue } of client.workflow.list({ query }))
    found.push({ id, runId, taskQueue });
  return found;
}

/** Asks flows for their dead letters, but not again and again where nobody is there to answer. */
class LetterReader {
  readonly #workers = new Map<string, Promise<boolean>>();

  constructor(
    private readonly client: Client,
    private readonly filter: LetterFilter,
  ) {}

  /** Empty where they have been resolved since the flow was listed. */
  async read(info: WorkflowExecutionInfo): Promise<FoundLetter[]> {
    const { workflowId: id, runId, taskQueue } = info;
    const flow = { id, runId, taskQueue };
    const listed = { flow, tenant: attributeOf(info, 'tenant') ?? '', name: attributeOf(info, 'flow') ?? '' };
    if (!(await this.#hasWorker(taskQueue))) return [listed];
    try {
      const { letters, tenant, flow: name, needsToken } = await readAllLetters(this.client, flow, QUERY_TIMEOUT_MS);
      const more = needsToken === undefined ? {} : { needsToken };
      return letters
        .filter((letter) => matchesFilter(this.filter, letter))
        .map((letter) => ({ flow, tenant, name, letter, ...more }));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return [];
      const unreadable = unreadableError(error);
      if (unreadable !== undefined) return [{ ...listed, unreadable }];
      if (error instanceof StuckRunError) return [{ ...listed, unreadable: error.error }];
      if (!(error instanceof CommandError)) throw error;
      // The server remembers workers for some minutes after they have gone.
      this.#workers.set(taskQueue, Promise.resolve(false));
      return [listed];
    }
  }

  #hasWorker(taskQueue: string): Promise<boolean> {
    const known = this.#workers.get(taskQueue) ?? hasWorker(this.client, taskQueue);
    this.#workers.set(taskQueue, known);
    return known;
  }
}
