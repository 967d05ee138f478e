import { CancellationScope, condition } from '@temporalio/workflow';
import { type Routine, waitFor } from '../drive';
import { Suspension } from '../suspension';
import { type QueuedTimer, TimerQueue } from './timer-queue';

interface Timer extends QueuedTimer {
  readonly ring: () => void;
  /** Of a routine that waits for it: takes it out of this history. */
  readonly suspend?: () => void;
}

/**
 * The time of a dry run that does not wait, in ms since the flow began. It stands still while anything is done, and jumps to the timer that
 * is due first once nothing is: once every routine of the flow waits for a timer. So whatever else a routine waits for (a step, a local
 * activity, another workflow, a quota, room to be sent out) takes no time here, and nobody has to tell the clock of it. Timers that are due
 * at the same time ring one after the other, each once what the one before sets off is under way.
 */
export class VirtualClock {
  #now: number;
  /** Routines that wait for no timer; of those who wait for others that run side by side, only these count (side-by-side.ts). */
  #awake = 1;
  readonly #timers = new TimerQueue<Timer>();
  #begun = 0;
  #isWatching = false;
  /** Some timer is as late as it is now. */
  #isDue = false;
  #isLeaving: () => boolean = () => false;

  constructor(now: number) {
    this.#now = now;
  }

  /** How much time has passed, in ms. */
  get now(): number {
    return this.#now;
  }

  /** `isLeaving`: true once those who wait should stand still, so that the flow can go on with a new history. */
  attach(isLeaving: () => boolean): void {
    this.#isLeaving = isLeaving;
  }

  /** One more routine runs, beside those that do. */
  wakes(): void {
    this.#awake += 1;
  }

  /** One of several that ran side by side has ended. */
  ends(): void {
    this.#awake -= 1;
  }

  /** Waits until it is so late: at once where it is. Throws {@link Suspension} with a {@link WakeCursor}. */
  *sleep(at: number): Routine<void> {
    if (at <= this.#now) return;
    this.#awake -= 1;
    try {
      this.#watch();
      yield* waitFor(this.#timer(at, { isRoutine: true }));
    } finally {
      this.#awake += 1;
    }
  }

  /** Ends once it is so late; beside a routine that runs. */
  until(at: number): Promise<void> {
    return this.#timer(at, { isRoutine: false });
  }

  #timer(at: number, { isRoutine }: { isRoutine: boolean }): Promise<void> {
    const scope = CancellationScope.current();
    return new Promise((ring, reject) => {
      const suspend = (): void => reject(new Suspension({ wakeAt: at }));
      this.#begun += 1;
      const timer: Timer = { at, order: this.#begun, isOver: false, ring, ...(isRoutine ? { suspend } : {}) };
      this.#timers.push(timer);
      if (!scope.cancellable) return;
      scope.cancelRequested.catch((error: unknown) => {
        this.#timers.cancel(timer);
        reject(error);
      });
    });
  }

  /** Temporal asks conditions once all else that can go on has gone on. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    // But for the first time, which is at once.
    let isAsked = false;
    const mayRing = (): boolean => {
      const isFirst = !isAsked;
      isAsked = true;
      return !isFirst && (this.#awake === 0 || this.#isDue);
    };
    const advance = (): void => {
      this.#isWatching = false;
      this.#advance();
      if (this.#timers.size > 0) this.#watch();
    };
    CancellationScope.nonCancellable(() => condition(mayRing)).then(advance, advance);
  }

  /** Rings one: what comes of it may take others away that are due at the same time. */
  #advance(): void {
    if (this.#awake === 0 && this.#isLeaving()) {
      this.#standStill();
      return;
    }
    const next = this.#timers.first;
    if (next === undefined) return;
    if (this.#awake === 0 || next.at <= this.#now) {
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.ring();
    }
    this.#isDue = (this.#timers.first?.at ?? Number.POSITIVE_INFINITY) <= this.#now;
  }

  #standStill(): void {
    for (const { suspend } of this.#timers.takeAll((timer) => timer.suspend !== undefined)) suspend?.();
  }
}
