/** Parts of a worker that can be away while flows go on. `traces`: spans cannot be sent; `metrics`: some are missing from the page. */
export const PARTS = ['state_store', 'nats', 'log', 'policy', 'traces', 'metrics', 'temporal', 'blob_store'] as const;

/** A part of a worker that can be away while flows go on. */
export type Part = (typeof PARTS)[number];

/** A part that does not work just now. */
export interface Degraded {
  readonly part: Part;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Why, for people; without secrets and data of flows. */
  readonly message: string;
}

/** Is told of a part as it is now, and of one that begins or ceases to work; `before`: how it was. */
export type ConditionListener = (part: Part, now: Degraded | undefined, before: Degraded | undefined) => void;

/** What of a worker does not work just now: for its health answers, metrics and log. */
export class Conditions {
  readonly #used = new Set<Part>();
  readonly #degraded = new Map<Part, Degraded>();
  readonly #listeners: ConditionListener[] = [];

  /** Says that the worker uses these parts. */
  use(...parts: readonly Part[]): void {
    for (const part of parts) {
      if (this.#used.has(part)) continue;
      this.#used.add(part);
      for (const listener of this.#listeners) listener(part, undefined, undefined);
    }
  }

  /** Says that a part does not work. Said again, the time of the first word stays. */
  degrade(part: Part, message: string): void {
    this.use(part);
    const before = this.#degraded.get(part);
    const now = { part, since: before?.since ?? Date.now(), message };
    this.#degraded.set(part, now);
    if (before === undefined) for (const listener of this.#listeners) listener(part, now, before);
  }

  /** Says that a part works, again or still. */
  recover(part: Part): void {
    const before = this.#degraded.get(part);
    if (before === undefined) return;
    this.#degraded.delete(part);
    for (const listener of this.#listeners) listener(part, undefined, before);
  }

  /** Says why a part does not work; undefined: it does. */
  tell(part: Part, problem: string | undefined): void {
    if (problem === undefined) this.recover(part);
    else this.degrade(part, problem);
  }

  list(): readonly Degraded[] {
    return [...this.#degraded.values()];
  }

  find(part: Part): Degraded | undefined {
    return this.#degraded.get(part);
  }

  /** Tells of all parts that are used, now and whenever one of them changes. Must not throw. */
  onChange(listener: ConditionListener): void {
    this.#listeners.push(listener);
    for (const part of this.#used) listener(part, this.#degraded.get(part), undefined);
  }
}
