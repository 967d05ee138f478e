import { Context } from '@temporalio/activity';
import { measureJson } from '../../dsl/encoded-json';
import { isJsonObject } from '../../dsl/json';
import { type Elsewhere, LOCAL_ATTEMPT_MS, type LocalAttempt, localUseOf } from '../../dsl/local-step';
import type { ReadAhead } from '../../dsl/read-ahead/read-ahead';
import { CLAIM_THRESHOLD_BYTES, type StepRequest, type StepResult } from '../../dsl/step-request';
import { type AnswerTogether, BEGIN_MS, PLACE_MS, type StepsTogether, TURN_MS } from '../../dsl/steps-together';
import { type AttemptGroup, type AttemptPlace, contextOf, type TriedStep } from './attempt-context';
import { GroupLine } from './group-line';
import { elsewhere, moved } from './local-end';
import { ReaderAhead } from './read-ahead';
import { RecentTenants } from './recent-tenants';
import { paceKey, StepPaces } from './step-paces';
import { StepPlaces } from './step-places';
import { tryTogether } from './steps-together';
import { expectedBytes, isUsedUp, leftMs, SHARED_TASK_MS, sentBytes, TASK_MS, TaskAccounts } from './task-accounts';

/** After one has found no place, no step is chosen for so long, ms. */
const CROWDED_MS = 1_000;

/** A step that is tried in place. */
interface InPlaceStep extends TriedStep {
  readonly local: LocalAttempt;
  /** How long it may wait for a place, ms; absent: as long as the workflow task may take. */
  readonly patienceMs?: number;
  /** The flow has not come to it. */
  readonly isAhead?: true;
  /** The first of a row of reads. */
  readonly begins?: true;
}

/** Makes one attempt of a step. */
export type StepAttempt = (blockType: string, request: StepRequest, at: AttemptPlace) => Promise<StepResult>;

/** What became of a step that was tried in place: it ended, well or not, or went to its queue. */
export type LocalOutcome = 'ended' | Elsewhere['reason'];

/**
 * Steps that run in place: in the worker that runs their flow, as local activities. It decides which of them do, and the others go to their
 * queue: it knows how long they take, how many run, and what its flow's workflow task has become.
 */
export class InPlace {
  readonly #paces = new StepPaces();
  readonly #places: StepPlaces;
  readonly #groups: GroupLine;
  readonly #accounts = new TaskAccounts();
  readonly #tenants = new RecentTenants();
  readonly #reader = new ReaderAhead();
  #crowdedUntil = 0;

  /** `choosesItself`: steps may run in place without being asked to; `tell` hears of each attempt. */
  constructor(
    private readonly options: {
      readonly slots: number;
      readonly choosesItself: boolean;
      readonly tell?: ((blockType: string, outcome: LocalOutcome) => void) | undefined;
      /** What attempts of a tenant have in common that share a local activity. */
      readonly groupOf?: ((tenant: string) => AttemptGroup) | undefined;
      /** Told of errors that only cost reads ahead. */
      readonly warn?: ((error: unknown) => void) | undefined;
    },
  ) {
    this.#places = new StepPlaces(options.slots);
    this.#groups = new GroupLine(options.slots);
  }

  /** True where the worker lets a flow try that step in place from its beginning. */
  mayTry(tenant: string, flow: string, stepId: string): boolean {
    this.#tenants.see(tenant);
    return this.#isQuick(paceKey({ tenant, flow, stepId })) && !this.#isCrowded(tenant);
  }

  #isQuick(key: string): boolean {
    return this.options.choosesItself && this.#paces.isQuick(key);
  }

  /** A step would find no place, or take one from other tenants. */
  #isCrowded(tenant: string): boolean {
    return performance.now() < this.#crowdedUntil || (this.#places.isFull && this.#tenants.hasOthersThan(tenant));
  }

  /** Runs a step's attempt, whichever way it came. */
  async run(blockType: string, request: StepRequest, attempt: StepAttempt): Promise<StepResult> {
    const temporal = Context.current();
    const { local } = request;
    this.#tenants.see(request.tenant);
    if (temporal.info.isLocal && local !== undefined) {
      const tries = (group?: AttemptGroup) => this.#try({ blockType, request, local, temporal, group }, attempt);
      return await (local.ahead === undefined ? tries() : this.#together(request.tenant, tries));
    }
    if (!this.#places.take()) await this.#places.wait();
    const startedAt = performance.now();
    let result: StepResult;
    try {
      result = await attempt(blockType, request, { temporal });
    } finally {
      this.#places.leave();
    }
    return this.#isMeasured(blockType, request, result)
      ? this.#measured(request, result, performance.now() - startedAt)
      : result;
  }

  /** Tries steps that began together in one flow. Nothing fails but single steps. */
  async runTogether(steps: StepsTogether, attempt: StepAttempt): Promise<AnswerTogether[]> {
    const temporal = Context.current();
    this.#tenants.see(steps.tenant);
    const { attempts } = steps;
    const isShared = this.#tenants.hasOthersThan(steps.tenant);
    const turn = await this.#takeTurn(attempts, { temporal, isShared });
    if ('reason' in turn) {
      return attempts.map(({ block, request }) => ({
        step: request.stepId,
        result: this.#refuse(block, turn.reason, request.local?.leftMs === undefined ? 0 : turn.tookMs),
      }));
    }
    const until = performance.now() + (isShared ? SHARED_TASK_MS : PLACE_MS);
    return await this.#together(steps.tenant, (group) =>
      tryTogether(steps, {
        at: { temporal, group },
        // Steps of others find places beside it.
        width: isShared ? Math.ceil(this.options.slots / 2) : attempts.length,
        attempt: (step) => this.#tryBesideOthers(step, { until, attempt }),
        ended: () => this.#groups.leave(),
      }),
    );
  }

  async #together<T>(tenant: string, work: (group: AttemptGroup | undefined) => Promise<T>): Promise<T> {
    const group = this.options.groupOf?.(tenant);
    try {
      return await work(group);
    } finally {
      await group?.end();
    }
  }

  /** The turn of a group, which takes no place from others; or why it has none, and how long it waited, ms. */
  async #takeTurn(
    attempts: StepsTogether['attempts'],
    { temporal, isShared }: { readonly temporal: Context; readonly isShared: boolean },
  ): Promise<{ readonly reason: Elsewhere['reason']; readonly tookMs: number } | Record<never, never>> {
    const { info, cancellationSignal: signal } = temporal;
    const account = this.#accounts.of(info.workflowExecution?.runId ?? '', attempts[0]?.request.local?.task ?? -1);
    const taskMs = isShared ? SHARED_TASK_MS : TASK_MS;
    if (isUsedUp(account, { expected: 0, taskMs })) return { reason: 'long', tookMs: 0 };
    // Nobody is to wait longer than his step may take.
    const left = attempts.map(({ request }) => request.local?.leftMs ?? TURN_MS);
    const patienceMs = isShared ? SHARED_TASK_MS : Math.min(TURN_MS - account.turnMs, ...left);
    const since = performance.now();
    const hasTurn = await this.#groups.enter(attempts.length, { patienceMs, signal });
    const tookMs = performance.now() - since;
    account.turnMs += tookMs;
    if (hasTurn) return {};
    if (signal.aborted) return { reason: 'stopped', tookMs };
    this.#crowdedUntil = performance.now() + CROWDED_MS;
    return { reason: 'busy', tookMs };
  }

  async #tryBesideOthers(
    { request, ...step }: TriedStep,
    { until, attempt }: { readonly until: number; readonly attempt: StepAttempt },
  ): Promise<StepResult> {
    const { local } = request;
    // All of them are in one record.
    const isLarge = (this.#paces.largestBytes(paceKey(request)) ?? 0) > CLAIM_THRESHOLD_BYTES;
    if (local === undefined || isLarge) return this.#refuse(step.blockType, 'long');
    return await this.#try({ ...step, request, local, patienceMs: until - performance.now() }, attempt);
  }

  #refuse(blockType: string, reason: Elsewhere['reason'], tookMs = 0): StepResult {
    this.options.tell?.(blockType, reason);
    return elsewhere(reason, Math.ceil(tookMs));
  }

  async #try(step: InPlaceStep, attempt: StepAttempt): Promise<StepResult> {
    const { ahead } = step.local;
    return ahead === undefined ? await this.#tell(step, attempt) : await this.#runAndReadOn(step, ahead, attempt);
  }

  async #tell(step: InPlaceStep, attempt: StepAttempt): Promise<StepResult> {
    let outcome: LocalOutcome | undefined = 'ended';
    try {
      const result = await this.#runInPlace(step, attempt);
      const { elsewhere: refusal } = result;
      // The flow tries a step itself that was only to be read ahead.
      if (refusal !== undefined) outcome = step.isAhead === true && refusal.tookMs === 0 ? undefined : refusal.reason;
      return result;
    } finally {
      if (outcome !== undefined) this.options.tell?.(step.blockType, outcome);
    }
  }

  /** Runs a step, and while its flow waits for it the reads that follow. */
  async #runAndReadOn(step: InPlaceStep, ahead: ReadAhead, attempt: StepAttempt): Promise<StepResult> {
    let begunAt = 0;
    const { ahead: _, ...local } = step.local;
    // Temporal gives the local activity more time, for what follows.
    const { info } = step.temporal;
    const startToCloseTimeoutMs = Math.min(LOCAL_ATTEMPT_MS, ahead.attemptMs);
    const temporal = contextOf(step.temporal, { ...info, startToCloseTimeoutMs });
    const begins = ahead.isBeside === true ? {} : { begins: true as const };
    const own = { ...step, request: { ...step.request, local }, local, temporal, ...begins };
    // It may have waited for its place.
    const begin: StepAttempt = (...args) => {
      begunAt = performance.now();
      return attempt(...args);
    };
    const result = await this.#tell(own, begin);
    if (result.elsewhere !== undefined || result.waiting !== undefined) return result;
    const reads = await this.#reader.readOn(own, {
      ahead,
      output: result.output,
      begunAt,
      warn: (error) => this.options.warn?.(error),
      isExpected: (request, bytes) => {
        const key = paceKey(request);
        const isTried = request.local?.isAsked === true || this.#isQuick(key);
        return isTried && (this.#paces.largestBytes(key) ?? 0) <= bytes;
      },
      attempt: (next, leftMs) => {
        const patienceMs = this.#tenants.hasOthersThan(next.request.tenant) ? 0 : leftMs;
        return this.#tell({ ...next, local: next.request.local ?? local, patienceMs, isAhead: true }, attempt);
      },
    });
    return reads.length === 0 ? result : { ...result, ahead: reads };
  }

  #isMeasured(block: string, { idempotent, with: args }: StepRequest, { waiting }: StepResult): boolean {
    if (!this.options.choosesItself || waiting !== undefined) return false;
    return localUseOf({ block, resources: 'io', idempotent }, args) === 'reads';
  }

  /** Says of what came through the queue where it may be tried in place the next time. */
  #measured(request: StepRequest, result: StepResult, ms: number): StepResult {
    const key = paceKey(request);
    this.#paces.record(key, ms, measureJson(result));
    return this.#isQuick(key) && !this.#isCrowded(request.tenant) ? { ...result, quick: true } : result;
  }

  async #runInPlace(
    { blockType, request, local, temporal, group, ...step }: InPlaceStep,
    attempt: StepAttempt,
  ): Promise<StepResult> {
    const { info } = temporal;
    const key = paceKey(request);
    if (!local.isAsked && !this.#isQuick(key)) return elsewhere('slow');
    const account = this.#accounts.of(info.workflowExecution?.runId ?? '', local.task);
    const expected = expectedBytes(this.#paces.largestBytes(key));
    const isShared = this.#tenants.hasOthersThan(request.tenant);
    if (isUsedUp(account, { expected, taskMs: isShared ? SHARED_TASK_MS : TASK_MS })) return elsewhere('long');
    // Where there are other tenants the queue is the fairer way.
    const patienceMs =
      step.patienceMs ??
      (isShared ? 0 : Math.min(leftMs(account, TASK_MS), step.begins ? BEGIN_MS : Number.POSITIVE_INFINITY));
    // What it would do on the word of an answer that is not in the history, it might do otherwise on another one.
    if (local.use === 'recorded' && (account.hasUnrecorded || local.isUnrecorded)) return elsewhere('unrecorded');
    account.expectedBytes += expected;
    if (!this.#places.take() && !(await this.#places.waitInPlace(patienceMs, step))) {
      account.expectedBytes -= expected;
      if (step.isAhead !== true) this.#crowdedUntil = performance.now() + CROWDED_MS;
      return elsewhere('busy');
    }
    account.steps += 1;
    const startedAt = performance.now();
    let isFoundAgain = false;
    let bytes = 0;
    try {
      const result = await attempt(blockType, request, { temporal, group });
      isFoundAgain = local.use === 'recorded' && hasTakenEffect(blockType, result);
      bytes = measureJson(result);
      return result;
    } catch (error) {
      return moved(error, { local, info, tookMs: Math.ceil(performance.now() - startedAt) });
    } finally {
      if (!isFoundAgain) account.hasUnrecorded = true;
      account.at = Date.now();
      account.expectedBytes -= expected;
      account.bytes += sentBytes(bytes);
      this.#paces.record(key, performance.now() - startedAt, bytes);
      this.#places.leave();
    }
  }
}

/** True where a block has left what is found under its key, so that it would give the same again. */
function hasTakenEffect(blockType: string, { output, waiting }: StepResult): boolean {
  if (waiting !== undefined || !isJsonObject(output)) return false;
  if (blockType === 'fs.delete') return output.deleted === true;
  if (blockType !== 'sql.transaction') return true;
  // One that only reads is not recorded (sqlite-database.ts).
  const { results } = output;
  return Array.isArray(results) && results.some((result) => isJsonObject(result) && Number(result.rowsAffected) > 0);
}
