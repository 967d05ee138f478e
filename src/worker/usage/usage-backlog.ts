/** Entries that are kept while the store does not answer: some megabytes. */
const MAX_KEPT = 10_000;

/** Usage that waits for the store; the oldest goes where there is too much. In memory: it does not outlive the process. */
export class UsageBacklog<T> {
  #entries: T[] = [];
  #dropped = 0;

  /** `onDropped` is told, once the store is back, how many entries are lost. */
  constructor(private readonly onDropped: (count: number) => void) {}

  get size(): number {
    return this.#entries.length;
  }

  add(entry: T): void {
    this.#entries.push(entry);
    if (this.#entries.length <= MAX_KEPT) return;
    this.#entries.shift();
    this.#dropped += 1;
  }

  /**
   * Writes what is kept, the oldest first, for so long at most; what `write` throws is passed on, and the rest stays. What `write`
   * adds again comes after all others, and not in this call.
   */
  async flush(write: (entry: T) => Promise<void>, limitMs: number): Promise<void> {
    const stopAt = performance.now() + limitMs;
    for (let left = this.#entries.length; left > 0 && performance.now() < stopAt; left -= 1) {
      const entry = this.#entries[0];
      if (entry === undefined) break;
      await write(entry);
      // Others may have been dropped from the front meanwhile.
      if (this.#entries[0] === entry) this.#entries.shift();
    }
    if (this.#dropped > 0) this.onDropped(this.#dropped);
    this.#dropped = 0;
  }
}
