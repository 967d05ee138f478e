import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Rule } from '../../src/worker/state/rule';
import { type StateStore, StateStoreUnavailable } from '../../src/worker/state/state-store';

/** Turns of the event loop without a call after which nothing more is expected of work that calls one rule after the other. */
const QUIET_TURNS = 50;

/** A real store, whose statements that write are counted. */
export class CountingStore implements StateStore {
  readonly writes: string[] = [];
  #running = 0;
  #isCut = false;

  constructor(private readonly store: StateStore) {}

  async run<T>(rule: () => Rule<T>, options?: Parameters<StateStore['run']>[1]): Promise<T> {
    if (this.#isCut) throw new StateStoreUnavailable(new Error('cut off'));
    this.#running += 1;
    try {
      return await this.store.run(() => this.#watch(rule()), options);
    } finally {
      this.#running -= 1;
    }
  }

  /** Fulfilled once nobody uses the store any more. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS; turns += 1) {
      await nextTurn();
      if (this.#running > 0) turns = 0;
    }
  }

  /** From now on its worker is as good as dead. */
  cut(): void {
    this.#isCut = true;
  }

  async close(): Promise<void> {
    await this.store.close();
  }

  *#watch<T>(rule: Rule<T>): Rule<T> {
    let step = rule.next();
    while (step.done !== true) {
      if (!/^\s*SELECT/.test(step.value.sql)) this.writes.push(step.value.sql.trim().split(/\s+/, 3).join(' '));
      step = rule.next(yield step.value);
    }
    return step.value;
  }
}
