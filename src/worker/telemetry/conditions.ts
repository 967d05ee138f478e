/** A part of a worker that can be away while flows go on. */
export type Part = 'state_store' | 'nats' | 'log' | 'policy' | 'traces' | 'metrics' | 'temporal' | 'blob_store';

/** A part that does not work just now. */
export interface Degraded {
  readonly part: Part;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Why, for people; without secrets and data of flows. */
  readonly message: string;
}

/** What of a worker does not work just now: for its health answers and metrics. */
export class Conditions {
  readonly #degraded = new Map<Part, Degraded>();

  /** Says that a part does not work. Said again, the time of the first word stays. */
  degrade(part: Part, message: string): void {
    const since = this.#degraded.get(part)?.since ?? Date.now();
    this.#degraded.set(part, { part, since, message });
  }

  /** Says that a part works, again or still. */
  recover(part: Part): void {
    this.#degraded.delete(part);
  }

  list(): readonly Degraded[] {
    return [...this.#degraded.values()];
  }
}
