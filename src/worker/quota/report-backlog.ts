/** Entries that are kept while the store does not answer, of one attempt or of some dozens that were made together: some megabytes. */
const MAX_KEPT = 10_000;

/** What of an entry could not be written, to be kept in its place. */
export interface Unwritten<T> {
  readonly entry: T;
  /** Nobody's can be written now; else the same tenant's are left alone until the next time. */
  readonly isOut: boolean;
}

/**
 * Reports that wait for the store, by tenant, so that one whose rows are locked holds up no other. Where there is too much, the oldest
 * goes of who has most. In memory: it does not outlive the process.
 */
export class ReportBacklog<T extends { readonly tenant: string }> {
  readonly #queues = new Map<string, T[]>();
  #size = 0;
  #dropped = 0;

  /** `onDropped` is told, once the store is back, how many entries are lost. */
  constructor(private readonly onDropped: (count: number) => void) {}

  get size(): number {
    return this.#size;
  }

  add(entry: T): void {
    this.#queueOf(entry).push(entry);
    this.#size += 1;
    if (this.#size > MAX_KEPT) this.#dropOne();
  }

  /**
   * Writes what is kept, for so long at most: a tenant's oldest first, the tenants in turn. `write` must not throw, and gives back what it
   * could not write, which is not tried again in this call.
   */
  async flush(write: (entry: T) => Promise<Unwritten<T> | undefined>, limitMs: number): Promise<void> {
    const stopAt = performance.now() + limitMs;
    const stuck = new Set<string>();
    while (performance.now() < stopAt) {
      const entry = this.#takeNext(stuck);
      if (entry === undefined) break;
      const unwritten = await write(entry);
      if (unwritten === undefined) continue;
      this.#queueOf(entry).unshift(unwritten.entry);
      this.#size += 1;
      if (unwritten.isOut) return;
      stuck.add(entry.tenant);
    }
    if (this.#dropped > 0) this.onDropped(this.#dropped);
    this.#dropped = 0;
  }

  #queueOf({ tenant }: T): T[] {
    const queue = this.#queues.get(tenant) ?? [];
    this.#queues.set(tenant, queue);
    return queue;
  }

  #takeNext(stuck: ReadonlySet<string>): T | undefined {
    for (const [tenant, queue] of this.#queues) {
      if (stuck.has(tenant)) continue;
      const entry = queue.shift();
      this.#size -= 1;
      // Its next turn comes after all others'.
      this.#queues.delete(tenant);
      if (queue.length > 0) this.#queues.set(tenant, queue);
      return entry;
    }
    return undefined;
  }

  #dropOne(): void {
    let longest: T[] = [];
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue;
    longest.shift();
    this.#size -= 1;
    this.#dropped += 1;
  }
}
