import { condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';
import {
  type DeadLetter,
  type DeadLetters as DeadLettersAnswer,
  mergePatch,
  RESOLVE_ACTIONS,
  type Resolution,
  type ResolveAnswer,
} from '../dsl/dead-letter';
import { FlowError, flowError } from '../dsl/errors';
import { inline } from '../dsl/inline-values';
import { isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { DEAD_LETTERS_QUERY, RESOLVE_UPDATE } from '../dsl/names';
import { shortJson, shortText } from '../dsl/problems';
import { type Routine, waitFor } from './drive';
import { asWorkflowFailure, toFlowError, toWorkflowFailure } from './failures';
import { readable } from './lost-payload';
import type { ProgressTracker } from './progress-tracker';

const deadLettersQuery = defineQuery<DeadLettersAnswer>(DEAD_LETTERS_QUERY);
const resolveUpdate = defineUpdate<ResolveAnswer, [Json]>(RESOLVE_UPDATE);

const EXAMPLE = '{"id": "/do/0/pay", "action": "retry"}';
const KEYS = ['id', 'action', 'with', 'input', 'output', 'by', 'comment', 'token'];

/** What a step that failed was to be run with. */
export interface FailedCall {
  /** With placeholders for secrets; absent where they could not be made. */
  readonly args?: JsonObject;
  readonly hasSecrets: boolean;
}

interface Parked extends FailedCall {
  readonly letter: DeadLetter;
  resolution?: Resolution;
}

/** Says who resolves, and whether they may; throws where not. Absent: nobody is asked. */
export type AdmitResolution = (resolution: Resolution) => Promise<{ readonly by: string }>;

/** The steps of a run that failed for good and wait for somebody's word. */
export class DeadLetters {
  readonly #parked = new Map<string, Parked>();
  #admit: AdmitResolution | undefined;
  #shouldSuspend: () => boolean = () => false;
  /** Resolutions that are being admitted; what they resolve has to stay. */
  #admitting = 0;

  /** To be called once the run is known. */
  attach(options: { readonly shouldSuspend: () => boolean; readonly admit?: AdmitResolution }): void {
    this.#shouldSuspend = options.shouldSuspend;
    this.#admit = options.admit;
  }

  get letters(): readonly DeadLetter[] {
    return [...this.#parked.values()].filter(({ resolution }) => resolution === undefined).map(({ letter }) => letter);
  }

  /** Waits until somebody has resolved it; `suspend` where the flow is to continue as new first. */
  *await(letter: DeadLetter, call: FailedCall): Routine<Resolution | 'suspend'> {
    const parked: Parked = { letter, ...call };
    this.#parked.set(letter.id, parked);
    const hasToGo = () => this.#admitting === 0 && this.#shouldSuspend();
    try {
      yield* waitFor(condition(() => parked.resolution !== undefined || hasToGo()));
      return parked.resolution ?? 'suspend';
    } finally {
      this.#parked.delete(letter.id);
    }
  }

  /** Throws BLW_RESOLUTION_INVALID or BLW_DEAD_LETTER_UNKNOWN; changes nothing. */
  check(value: Json): { parked: Parked; resolution: Resolution } {
    const resolution = resolutionOf(value);
    const parked = this.#find(resolution.id);
    if (resolution.action === 'retry') checkRetry(resolution, parked);
    return { parked, resolution };
  }

  async resolve(value: Json): Promise<ResolveAnswer> {
    const { resolution } = this.check(value);
    const admitted = await this.#admitted(resolution);
    // While the token was checked, others may have resolved it.
    const { parked } = this.check(value);
    parked.resolution = admitted;
    const { action, by } = admitted;
    return { id: parked.letter.id, action, ...(by === undefined ? {} : { by }), left: this.letters.length };
  }

  async #admitted(resolution: Resolution): Promise<Resolution> {
    if (this.#admit === undefined) return resolution;
    this.#admitting += 1;
    try {
      return { ...resolution, ...(await this.#admit(resolution)) };
    } finally {
      this.#admitting -= 1;
    }
  }

  #find(id: string | undefined): Parked {
    const waiting = this.letters;
    const letter = id === undefined && waiting.length === 1 ? waiting[0] : waiting.find((one) => one.id === id);
    const parked = letter === undefined ? undefined : this.#parked.get(letter.id);
    if (parked !== undefined) return parked;
    if (waiting.length === 0) throw flowError('BLW_DEAD_LETTER_UNKNOWN', 'no step of this flow is a dead letter');
    const ids = shortText(waiting.map((one) => one.id).join(', '), 500);
    const got = id === undefined ? 'no id' : shortJson(id);
    throw flowError('BLW_DEAD_LETTER_UNKNOWN', `id: got ${got}, expected one of ${ids}`);
  }
}

/** Lets people see and resolve dead letters from the first moment of a run on. */
export function receiveResolutions(progress: ProgressTracker): DeadLetters {
  const letters = new DeadLetters();
  setHandler(
    deadLettersQuery,
    () => inline({ tenant: progress.tenant, flow: progress.flow, letters: letters.letters }),
    { description: 'Steps that failed for good and wait for the update resolve: what, with which arguments, and why.' },
  );
  setHandler(resolveUpdate, async (value) => await settled(letters, value), {
    validator: (value) => asWorkflowFailure(() => void letters.check(value)),
    description: `${EXAMPLE}: "retry", "skip" or "discard"; "with" (a merge patch) or "input" may correct a retry, "output" is that of a skip`,
  });
  return letters;
}

async function settled(letters: DeadLetters, value: Json): Promise<ResolveAnswer> {
  try {
    return await letters.resolve(readable(value, 'the resolution'));
  } catch (thrown) {
    const error = toFlowError(thrown);
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}

function resolutionOf(value: Json): Resolution {
  if (!isJsonObject(value)) throw invalid(`got ${shortJson(value)}, expected an object such as ${EXAMPLE}`);
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`unknown key "${shortText(unknown, 50)}", expected ${KEYS.join(', ')}`);
  const { action } = value;
  if (!RESOLVE_ACTIONS.some((known) => known === action))
    throw invalid(`action: got ${shortJson(action ?? null)}, expected ${RESOLVE_ACTIONS.join(', ')}`);
  for (const key of ['id', 'by', 'comment', 'token'])
    if (value[key] !== undefined && typeof value[key] !== 'string') throw invalid(`${key}: expected text`);
  if (value.with !== undefined && !isJsonObject(value.with)) throw invalid('with: expected an object, a merge patch');
  for (const [key, owner] of OWNERS)
    if (value[key] !== undefined && action !== owner) throw invalid(`${key}: belongs to the action ${owner}`);
  if (value.with !== undefined && value.input !== undefined)
    throw invalid('with and input: expected one of them; input makes the arguments anew');
  return value as unknown as Resolution;
}

const OWNERS = [
  ['with', 'retry'],
  ['input', 'retry'],
  ['output', 'skip'],
] as const;

function checkRetry({ with: patch, input }: Resolution, parked: Parked): void {
  const { letter, args } = parked;
  if (letter.failedIn === 'output')
    throw invalid(
      'the step is done, and only its output could not be transformed: skip it with an output, or discard it',
    );
  if (patch === undefined) {
    if (letter.failedIn === 'input' && input === undefined)
      throw invalid('its arguments could not be made: send the retry with an input, skip the step, or discard it');
    return;
  }
  if (args === undefined) throw invalid('with: its arguments could not be made; send an input');
  checkPatch(patch, args, parked);
}

/** True where nothing but parameters differs. */
function isSameStatement(left: Json, right: Json): boolean {
  return JSON.stringify(withoutParameters(left)) === JSON.stringify(withoutParameters(right));
}

function withoutParameters(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutParameters);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'parameters');
  return Object.fromEntries(
    kept.map(([key, item]) => [key, withoutParameters(item ?? null)] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Where a request goes, and as whom. */
const DESTINATION = ['endpoint', 'document', 'authentication'];

/** A statement is never data, and a secret goes nowhere but where the flow sends it. */
function checkPatch(patch: JsonObject, args: JsonObject, { letter, hasSecrets }: Parked): void {
  if (letter.block.startsWith('sql.') && !isSameStatement(args, mergePatch(args, patch)))
    throw invalid("with: only the parameters of a statement may be changed, which is the flow's own");
  const key = hasSecrets ? DESTINATION.find((one) => patch[one] !== undefined) : undefined;
  if (key !== undefined)
    throw invalid(`with: ${key} may not be changed, since the step uses secrets; send an input instead`);
}

function invalid(detail: string): Error {
  return flowError('BLW_RESOLUTION_INVALID', `resolve: ${detail}`);
}
