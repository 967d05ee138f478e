import { CancellationScope, condition, defineSignal, setHandler, sleep } from '@temporalio/workflow';
import { isJsonObject, type Json } from '../../dsl/json';
import { QUOTA_SIGNAL } from '../../dsl/names';
import type { QuotaNeed } from '../../dsl/quota';
import { type Routine, waitFor } from '../drive';

const quotaSignal = defineSignal<[Json]>(QUOTA_SIGNAL);

/** Offers that are kept for tickets that nobody here waits with: their steps stand still on the way to the next run. */
const MAX_EARLY = 2_000;

/** How a wait ends: it is time to ask, or the flow goes on with a new history. */
export type Awakening = 'ask' | 'suspend';

/** Offers that came while their steps stood still. Travels in history: add, never change. */
export interface QuotaLineState {
  readonly early: readonly string[];
}

interface Waiter {
  wake(how: Awakening): void;
}

interface TicketWaiter extends Waiter {
  readonly ticket: string;
  /** It does not stand still with the others: nothing of the flow has begun. */
  readonly staysPut: boolean;
  /** When it asks by itself, in ms since 1970. */
  readonly at: number;
}

/**
 * The steps of one flow that wait for a quota of their tenant: outside, those that the flow does not even send out since as many
 * are under way as the tenant may run at once; and with a ticket those that were sent and told to wait. There is one timer for
 * all of them, and one condition: of each there would be an event, or a promise.
 */
export class QuotaLine {
  #limit = Number.POSITIVE_INFINITY;
  #inside = 0;
  #outside: Waiter[] = [];
  readonly #tickets = new Map<string, TicketWaiter>();
  readonly #early: Set<string>;
  #timer: { readonly at: number; readonly scope: CancellationScope } | undefined;
  #isWatching = false;
  #leaving: { readonly tickets: string[]; readonly done: Promise<void> } | undefined;
  #isLeaving: () => boolean = () => false;

  constructor(state?: QuotaLineState) {
    this.#early = new Set(state?.early);
  }

  /** `isLeaving`: true once those who wait should stand still, so that the flow can go on with a new history. */
  attach(isLeaving: () => boolean): void {
    this.#isLeaving = isLeaving;
  }

  /** Steps that are sent out at once; absent: any number. */
  limitTo(count: number | undefined): void {
    this.#limit = count === undefined ? Number.POSITIVE_INFINITY : Math.max(1, count);
    this.#letIn();
  }

  /** True where a step would have to wait outside. */
  get isFull(): boolean {
    return this.#inside >= this.#limit;
  }

  /** What steps wait for that the flow does not even send out. */
  get need(): QuotaNeed {
    return { reason: 'concurrentSteps', limit: this.#limit };
  }

  /** True where all that were sent out wait, but for one. */
  get isAtRest(): boolean {
    return this.#tickets.size >= this.#inside - 1;
  }

  /**
   * Takes a place among those that are sent out; `leave` has to follow, unless it ends with `suspend`. Who has a ticket had one
   * before.
   */
  *enter(hasTicket: boolean): Routine<Awakening> {
    if (hasTicket || !this.isFull) {
      this.#inside += 1;
      return 'ask';
    }
    return yield* this.#sleep((wake) => {
      const waiter = { wake };
      this.#outside.push(waiter);
      return () => {
        this.#outside = this.#outside.filter((other) => other !== waiter);
      };
    });
  }

  leave(): void {
    this.#inside -= 1;
    this.#letIn();
  }

  /** Waits until it is the ticket's turn, or until `at`; `staysPut`: also where the flow should go on with a new history. */
  *await(ticket: string, at: number, staysPut = false): Routine<Awakening> {
    if (this.#early.delete(ticket)) return 'ask';
    return yield* this.#sleep((wake) => {
      this.#tickets.set(ticket, { ticket, at, wake, staysPut });
      this.#arm();
      return () => this.#tickets.delete(ticket);
    });
  }

  /** The step runs, or does not want to any more. */
  forget(ticket: string): void {
    this.#early.delete(ticket);
  }

  /** Those who leave the line in the same moment, as branches that are cancelled, leave together. */
  leaveTogether(tickets: readonly string[], leave: (all: readonly string[]) => Promise<void>): Promise<void> {
    if (this.#leaving === undefined) {
      const all: string[] = [];
      const done = Promise.resolve().then(() => {
        this.#leaving = undefined;
        return leave(all);
      });
      this.#leaving = { tickets: all, done };
    }
    this.#leaving.tickets.push(...tickets);
    return this.#leaving.done;
  }

  /** Takes what a signal brings ({@link QuotaNews}); anybody may send one, and whatever else it brings is nothing. */
  receive(value: Json): void {
    for (const line of Array.isArray(value) ? value : []) {
      if (!isJsonObject(line)) continue;
      const { ticket, afterMs, concurrentSteps } = line;
      if (typeof ticket === 'string') this.#offer(ticket, typeof afterMs === 'number' ? afterMs : 0);
      if (typeof concurrentSteps === 'number') this.limitTo(concurrentSteps);
      if (concurrentSteps === null) this.limitTo(undefined);
    }
  }

  /** Absent where there is nothing to take along. */
  state(): QuotaLineState | undefined {
    return this.#early.size === 0 ? undefined : { early: [...this.#early] };
  }

  #offer(ticket: string, afterMs: number): void {
    const waiter = this.#tickets.get(ticket);
    if (waiter === undefined) {
      if (this.#early.size < MAX_EARLY) this.#early.add(ticket);
    } else if (afterMs <= 0) this.#wake([waiter]);
    else {
      this.#tickets.set(ticket, { ...waiter, at: Date.now() + afterMs });
      this.#arm();
    }
  }

  #letIn(): void {
    while (this.#inside < this.#limit) {
      const next = this.#outside.shift();
      if (next === undefined) return;
      this.#inside += 1;
      next.wake('ask');
    }
  }

  *#sleep(lieDown: (wake: (how: Awakening) => void) => () => void): Routine<Awakening> {
    const scope = CancellationScope.current();
    const awakening = new Promise<Awakening>((resolve, reject) => {
      const getUp = lieDown(resolve);
      if (!scope.cancellable) return;
      scope.cancelRequested.catch((error: unknown) => {
        getUp();
        reject(error);
      });
    });
    this.#watch();
    return yield* waitFor(awakening);
  }

  #wake(waiters: readonly TicketWaiter[]): void {
    for (const { ticket, wake } of waiters) {
      this.#tickets.delete(ticket);
      wake('ask');
    }
  }

  /**
   * Keeps one timer, for the ticket that is due first. It runs on where that is woken before, as the next wait needs one too:
   * a timer that is taken back is an event as well.
   */
  #arm(): void {
    let at = Number.POSITIVE_INFINITY;
    for (const waiter of this.#tickets.values()) at = Math.min(at, waiter.at);
    if (at === Number.POSITIVE_INFINITY || (this.#timer !== undefined && this.#timer.at <= at)) return;
    this.#timer?.scope.cancel();
    // Whichever step waits first: its cancellation is none of the others'.
    CancellationScope.nonCancellable(async () => {
      const scope = new CancellationScope();
      this.#timer = { at, scope };
      await scope.run(() => sleep(Math.max(1, at - Date.now()), { summary: 'waits for a quota' }));
    }).then(
      () => this.#fired(at),
      () => undefined,
    );
  }

  #fired(dueAt: number): void {
    this.#timer = undefined;
    // The clock can be behind the timer, and not when the history is replayed (clock.ts).
    const now = Math.max(dueAt, Date.now());
    this.#wake([...this.#tickets.values()].filter(({ at }) => at <= now));
    this.#arm();
  }

  #movers(): (Waiter | TicketWaiter)[] {
    return [...this.#outside, ...[...this.#tickets.values()].filter(({ staysPut }) => !staysPut)];
  }

  /** One condition for all that wait. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const mustLeave = (): boolean => this.#isLeaving() && this.#movers().length > 0;
    const standStill = (): void => {
      this.#isWatching = false;
      const movers = this.#movers();
      this.#outside = [];
      for (const waiter of movers) if ('ticket' in waiter) this.#tickets.delete(waiter.ticket);
      for (const { wake } of movers) wake('suspend');
    };
    CancellationScope.nonCancellable(() => condition(mustLeave)).then(standStill, standStill);
  }
}

/** Lets a flow hear of its turns from its first moment on. */
export function receiveOffers(state?: QuotaLineState): QuotaLine {
  const line = new QuotaLine(state);
  setHandler(quotaSignal, (value) => line.receive(value), {
    description: 'From the workers: it is the turn of steps that wait for a quota.',
  });
  return line;
}
