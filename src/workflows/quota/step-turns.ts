import { flowError } from '../../dsl/errors';
import type { Elsewhere } from '../../dsl/local-step';
import { needOf, type QuotaClaim, type QuotaNeed, type QuotaReason, type QuotaWait } from '../../dsl/quota';
import type { StepSecrets } from '../../dsl/secrets';
import type { StepResult } from '../../dsl/step-request';
import type { Routine } from '../drive';
import { type CallCursor, Suspension } from '../suspension';
import type { TaskFrame } from '../task-frame';
import { leaveQuotaLine } from './leave-line';

/** From then on a wait shows in the flow's status; shorter ones come and go. */
const LONG_WAIT_MS = 30_000;

/** Reasons for which nobody expects it to be short. */
const LONG_REASONS: readonly QuotaReason[] = ['cpuTime', 'blobBytes', 'flows'];

/** The turns of one call: its place among the steps that are sent out, and in the tenant's line where it has to wait. */
export class StepTurns {
  readonly secrets: StepSecrets | undefined;
  #claim: QuotaClaim;
  #askAt: number | undefined;
  #waitsFor: QuotaNeed | undefined;
  #attempts: number;
  #spentMs: number;
  #failedInPlace = 0;

  constructor(private readonly frame: TaskFrame) {
    const from = frame.from as CallCursor | undefined;
    const { ticket, since, askAt, waitsFor, attempts = 0, spentMs = 0, secrets = frame.secrets } = from ?? {};
    // The placeholders in its arguments are those of the run in which these were evaluated.
    this.secrets = secrets;
    this.#claim = { ...(ticket === undefined ? {} : { ticket }), ...(since === undefined ? {} : { since }) };
    this.#askAt = askAt;
    this.#waitsFor = waitsFor;
    this.#attempts = attempts;
    this.#spentMs = spentMs;
  }

  /** What goes along with the request. */
  get claim(): QuotaClaim {
    return { ...this.#claim, ...(this.#attempts === 0 ? {} : { attempts: this.#attempts }) };
  }

  /** Attempts that an earlier activity of the step made. */
  get attempts(): number {
    return this.#attempts;
  }

  /** An attempt in place was all for nothing: the step goes to its queue, with what is left of its attempts and its time. */
  moved({ attempts, tookMs }: Elsewhere, pauseMs: number): void {
    this.#attempts += attempts;
    this.#failedInPlace += attempts;
    this.#spentMs += tookMs + pauseMs;
  }

  /** Attempts in place that failed: the pauses of the retry policy go on from there. */
  get failedInPlace(): number {
    return this.#failedInPlace;
  }

  /** What is left of the step's timeout: waiting for a quota takes nothing of it. Throws BLW_STEP_TIMEOUT. */
  timeLeft(timeoutMs: number): number {
    if (this.#spentMs >= timeoutMs && this.#spentMs > 0) {
      throw flowError('BLW_STEP_TIMEOUT', `it took longer than ${timeoutMs} ms`);
    }
    return timeoutMs - this.#spentMs;
  }

  /** Waits for a place among the steps that the flow sends out; `end` has to follow. Throws {@link Suspension}. */
  *begin(): Routine<void> {
    const { run, step } = this.frame;
    const hasTicket = this.#claim.ticket !== undefined;
    const hasToWait = !hasTicket && run.quota.isFull;
    if (hasToWait) step.awaitQuota(run.quota.need);
    if ((yield* run.quota.enter(hasTicket)) === 'suspend') throw this.#suspension();
    if (hasToWait) step.update({ status: 'running' });
  }

  /** Goes on with the wait that the run before was in, if there was one. Throws {@link Suspension}. */
  *resume(): Routine<void> {
    if (this.#claim.ticket !== undefined) yield* this.#await(this.#claim.ticket);
  }

  /** The step was told to wait, by an answer for which the flow did not have to. `resume` does. */
  note({ waiting, attempt }: Pick<StepResult, 'attempt'> & { readonly waiting: QuotaWait }): void {
    const { ticket, since, afterMs } = waiting;
    this.#attempts = attempt - 1;
    this.#claim = { ticket, since };
    this.#askAt = Date.now() + afterMs;
    this.#waitsFor = needOf(waiting);
  }

  /** Waits until the step may be sent out again. Throws {@link Suspension}. */
  *wait({ waiting, attempt }: StepResult & { readonly waiting: QuotaWait }, sentAt: number): Routine<void> {
    const { ticket, since, saidAt = Date.now(), reason } = waiting;
    // Only where an attempt was made has the activity run.
    if (attempt - 1 > this.#attempts) this.#spentMs += Date.now() - sentAt;
    this.note({ waiting, attempt });
    const { run } = this.frame;
    const isLong = LONG_REASONS.includes(reason) || saidAt - since >= LONG_WAIT_MS;
    if (isLong && run.quota.isAtRest) run.status.quotaWaitBegins();
    yield* this.#await(ticket);
  }

  /** The step has its place: what still comes for its ticket is nothing. */
  admitted(): void {
    if (this.#claim.ticket !== undefined) this.frame.run.quota.forget(this.#claim.ticket);
  }

  /** To be called once for each call that began and is not suspended. */
  *giveUp(error: unknown): Routine<void> {
    const { ticket } = this.#claim;
    if (ticket !== undefined && !(error instanceof Suspension)) yield* leaveQuotaLine(this.frame.run, [ticket]);
  }

  end(): void {
    this.frame.run.quota.leave();
  }

  *#await(ticket: string): Routine<void> {
    const { run, step } = this.frame;
    step.awaitQuota(this.#waitsFor);
    run.waits();
    const awakening = yield* run.quota.await(ticket, this.#askAt ?? Date.now());
    if (awakening === 'suspend') throw this.#suspension();
    run.status.quotaWaitEnds();
    step.update({ status: 'running' });
  }

  #suspension(): Suspension {
    const { ticket, since } = this.#claim;
    const cursor: CallCursor = {
      ...(ticket === undefined ? {} : { ticket }),
      ...(since === undefined ? {} : { since }),
      ...(this.#askAt === undefined ? {} : { askAt: this.#askAt }),
      ...(this.#waitsFor === undefined ? {} : { waitsFor: this.#waitsFor }),
      attempts: this.#attempts,
      spentMs: this.#spentMs,
      ...(this.secrets === undefined ? {} : { secrets: this.secrets }),
    };
    return new Suspension(cursor);
  }
}
