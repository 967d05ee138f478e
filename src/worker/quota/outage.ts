import { createHash } from 'node:crypto';
import { isOutOfReach, type RunOptions } from '../state/state-store';

/** Pause between two calls that find out whether a store is back. */
const TRY_EVERY_MS = 1_000;

/** When those ask again whom the store did not answer: as late again as they have waited, within these, and up to half as late more. */
const MIN_RETRY_MS = 5_000;
const MAX_RETRY_MS = 80_000;

/**
 * Whether the store is out of reach. While it is, a call a second finds out whether it is back; nobody else is kept waiting for it. Only
 * a write says that it is back: a store whose writes are locked, or whose disk is full, still answers who reads.
 */
export class Outage {
  #isOut = false;
  #triedAt = 0;

  constructor(private readonly clock: () => number = () => performance.now()) {}

  get isOut(): boolean {
    return this.#isOut;
  }

  /** The store is out of reach, as somebody else has found. */
  begin(): void {
    if (this.#isOut) return;
    this.#isOut = true;
    this.#triedAt = this.clock();
  }

  /** True where a call may go to the store. */
  allowsTry(): boolean {
    if (!this.#isOut) return true;
    const now = this.clock();
    if (now - this.#triedAt < TRY_EVERY_MS) return false;
    this.#triedAt = now;
    return true;
  }

  /** Runs a call of the store and learns from its end. What concerns one call only, such as a lock of another's, is no outage. */
  async watch<T>(call: () => Promise<T>, { isReading = false }: Pick<RunOptions, 'isReading'> = {}): Promise<T> {
    try {
      const result = await call();
      if (!isReading) this.#isOut = false;
      return result;
    } catch (error) {
      if (isOutOfReach(error)) this.begin();
      throw error;
    }
  }
}

/** When a step asks again that the store did not answer: the later the longer it has waited, and not all at once. */
export function storeRetryMs(ticket: string, waitedMs: number): number {
  const baseMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, waitedMs));
  // By the ticket and not by chance, so that it is the same wherever it is asked.
  const share = createHash('sha256').update(ticket).digest().readUInt32BE() / 2 ** 32;
  return Math.round(baseMs * (1 + share / 2));
}
