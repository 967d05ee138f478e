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

  /** Writes what is kept, the oldest first; what `write` throws is passed on, and the rest stays. */
  async flush(write: (entry: T) => Promise<void>): Promise<void> {
    for (let entry = this.#entries[0]; entry !== undefined; entry = this.#entries[0]) {
      await write(entry);
      // Others may have been dropped from the front meanwhile.
      if (this.#entries[0] === entry) this.#entries.shift();
    }
    if (this.#dropped > 0) this.onDropped(this.#dropped);
    this.#dropped = 0;
  }
}
