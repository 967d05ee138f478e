import { within } from '../activities/within';

/** Work of a worker that goes on beside its steps. */
export class Background {
  readonly #pending = new Set<Promise<unknown>>();
  /** Work that is under way: the same does not begin again meanwhile. */
  readonly #busy = new Set<string>();
  readonly #timers: NodeJS.Timeout[] = [];

  /** `onError` is told what work of a name throws. */
  constructor(private readonly onError: (error: unknown) => void) {}

  /** Does work again and again, not while the last time still goes on. Each has a timer of its own, so that none waits for another. */
  every(intervalMs: number, name: string, work: () => Promise<void>): void {
    const timer = setInterval(() => this.alone(name, work), intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }

  /** Does work, unless the same is under way. */
  alone(name: string, work: () => Promise<void>): void {
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    const done = work()
      .catch(this.onError)
      .finally(() => this.#busy.delete(name));
    this.follow(done);
  }

  /** Remembers work, which must not throw, until it is done. */
  follow(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  /** Begins nothing more, and waits for what is under way, for so long at most. Never throws. */
  async close(limitMs: number): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await within(limitMs, Promise.allSettled(this.#pending)).catch(this.onError);
  }
}
