import { condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';
import type { DeadLetter, DeadLetters as DeadLettersAnswer, Resolution, ResolveAnswer } from '../dsl/dead-letter';
import { FlowError, flowError } from '../dsl/errors';
import { inline } from '../dsl/inline-values';
import type { Json } from '../dsl/json';
import { DEAD_LETTERS_QUERY, RESOLVE_UPDATE } from '../dsl/names';
import { shortJson, shortText } from '../dsl/problems';
import { listLetters } from './dead-letter-answer';
import { type Routine, waitFor } from './drive';
import { asWorkflowFailure, toFlowError, toWorkflowFailure } from './failures';
import { readable } from './lost-payload';
import type { ProgressTracker } from './progress-tracker';
import { checkResolution, type FailedCall, invalid, parseResolution, RESOLUTION_EXAMPLE } from './resolution-rules';

const deadLettersQuery = defineQuery<DeadLettersAnswer, [Json?]>(DEAD_LETTERS_QUERY);
const resolveUpdate = defineUpdate<ResolveAnswer, [Json]>(RESOLVE_UPDATE);

interface Parked {
  readonly letter: DeadLetter;
  readonly call: FailedCall;
  resolution?: Resolution;
  /** Of a letter that goes along to the next run: takes the resolution along as well. */
  carry?: (resolution: Resolution) => void;
}

/** Says who resolves, and whether they may; throws where not. Absent: nobody is asked. */
export type AdmitResolution = (resolution: Resolution, letter: DeadLetter) => Promise<{ readonly by: string }>;

/** The steps of a run that failed for good and wait for somebody's word. */
export class DeadLetters {
  readonly #parked = new Map<string, Parked>();
  #admit: AdmitResolution | undefined;
  #shouldSuspend: () => boolean = () => false;
  /** Resolutions that are being admitted; what they resolve has to stay. */
  #admitting = 0;
  /** The run goes on from where it stood: what waited waits again. */
  #isRestored = false;

  /** To be called once the run is known. */
  attach(options: { readonly shouldSuspend: () => boolean; readonly admit?: AdmitResolution }): void {
    this.#shouldSuspend = options.shouldSuspend;
    this.#admit = options.admit;
  }

  /** To be called once the interpreter has begun, or will not: until then a resolution waits, since what it is for may come yet. */
  restored(): void {
    this.#isRestored = true;
  }

  get needsToken(): boolean {
    return this.#admit !== undefined;
  }

  get letters(): readonly DeadLetter[] {
    return [...this.#parked.values()].filter(({ resolution }) => resolution === undefined).map(({ letter }) => letter);
  }

  /**
   * Waits until somebody has resolved it; `suspend` where the flow is to continue as new first. It can be resolved still then: `carry` is
   * called with what the next run is to do.
   */
  *await(
    letter: DeadLetter,
    call: FailedCall,
    carry: (resolution: Resolution) => void,
  ): Routine<Resolution | 'suspend'> {
    const parked: Parked = { letter, call };
    this.#parked.set(letter.id, parked);
    const hasToGo = () => this.#admitting === 0 && this.#shouldSuspend();
    let isSuspended = false;
    try {
      yield* waitFor(condition(() => parked.resolution !== undefined || hasToGo()));
      if (parked.resolution !== undefined) return parked.resolution;
      isSuspended = true;
      parked.carry = carry;
      return 'suspend';
    } finally {
      if (!isSuspended) this.#parked.delete(letter.id);
    }
  }

  /** Of a letter that is suspended, and will not go on. */
  forget(id: string): void {
    this.#parked.delete(id);
  }

  /** What can be said before the update is in the history. Throws as {@link resolve} does. */
  check(value: Json): void {
    const resolution = parseResolution(value);
    if (!this.#isRestored) return;
    this.#checkToken(resolution);
    this.#checked(resolution);
  }

  /** Throws BLW_RESOLUTION_INVALID, BLW_DEAD_LETTER_UNKNOWN, or why it is not admitted, and changes nothing then. */
  async resolve(value: Json): Promise<ResolveAnswer> {
    const resolution = parseResolution(value);
    if (!this.#isRestored) await condition(() => this.#isRestored);
    this.#checkToken(resolution);
    const { letter } = this.#checked(resolution);
    const admitted = await this.#admitted(resolution, letter);
    // While the token was checked, others may have resolved it.
    const parked = this.#checked(admitted, letter);
    parked.resolution = admitted;
    parked.carry?.(admitted);
    const { action, by } = admitted;
    return { id: letter.id, action, ...(by === undefined ? {} : { by }), left: this.letters.length };
  }

  #checked(resolution: Resolution, before?: DeadLetter): Parked {
    const parked = this.#find(before?.id ?? resolution.id);
    // It failed again meanwhile: another letter, that nobody has seen.
    if (before !== undefined && parked.letter !== before)
      throw unknown(`${shortJson(before.id)} was resolved meanwhile`);
    const { failedAt = parked.letter.failedAt } = resolution;
    if (failedAt !== parked.letter.failedAt) {
      const { id, failedAt: now } = parked.letter;
      throw unknown(
        `${shortJson(id)} failed again: at ${now}, and not at ${failedAt} as the resolution says; look at it again`,
      );
    }
    checkResolution(resolution, parked.letter, parked.call);
    return parked;
  }

  #checkToken({ token }: Resolution): void {
    if (this.needsToken === (token !== undefined)) return;
    if (!this.needsToken)
      throw invalid('token: the flow was started without one, so that nobody checks it; leave it out');
    const advice = 'use `beamline dlq … --token-file FILE`, or seal it with `beamline token seal`';
    throw flowError('BLW_TOKEN_REQUIRED', `resolving a dead letter of this flow needs a token; ${advice}`);
  }

  async #admitted(resolution: Resolution, letter: DeadLetter): Promise<Resolution> {
    if (this.#admit === undefined) return resolution;
    this.#admitting += 1;
    try {
      const { token: _, ...said } = resolution;
      return { ...said, ...(await this.#admit(resolution, letter)) };
    } finally {
      this.#admitting -= 1;
    }
  }

  #find(id: string | undefined): Parked {
    const waiting = this.letters;
    const letter = id === undefined && waiting.length === 1 ? waiting[0] : waiting.find((one) => one.id === id);
    const parked = letter === undefined ? undefined : this.#parked.get(letter.id);
    if (parked !== undefined) return parked;
    if (waiting.length === 0) throw unknown('no step of this flow is a dead letter');
    const ids = shortText(waiting.map((one) => one.id).join(', '), 500);
    throw unknown(`id: got ${id === undefined ? 'no id' : shortJson(id)}, expected one of ${ids}`);
  }
}

/** Lets people see and resolve dead letters from the first moment of a run on. */
export function receiveResolutions(progress: ProgressTracker): DeadLetters {
  const letters = new DeadLetters();
  setHandler(deadLettersQuery, (request) => inline(answer(letters, progress, request)), {
    description: 'Steps that failed for good and wait for the update resolve: what, with which arguments, and why.',
  });
  setHandler(resolveUpdate, async (value) => await settled(letters, value), {
    validator: (value) => asWorkflowFailure(() => letters.check(value)),
    description: `${RESOLUTION_EXAMPLE}: "retry", "skip" or "discard"; "with" (a merge patch) or "input" may correct a retry, "output" is that of a skip`,
  });
  return letters;
}

function answer(letters: DeadLetters, { tenant, flow }: ProgressTracker, request: Json | undefined): DeadLettersAnswer {
  const listed = listLetters(letters.letters, request);
  return { tenant, flow, ...listed, ...(letters.needsToken ? { needsToken: true as const } : {}) };
}

async function settled(letters: DeadLetters, value: Json): Promise<ResolveAnswer> {
  try {
    return await letters.resolve(readable(value, 'the resolution'));
  } catch (thrown) {
    const error = toFlowError(thrown);
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}

function unknown(detail: string): Error {
  return flowError('BLW_DEAD_LETTER_UNKNOWN', detail);
}
