import { type BlockFailure, retryable } from './block-failure';

/** Longest wait for whoever is asked whether an attempt is still current. */
export const CONFIRM_PATIENCE_MS = 2_000;

/**
 * Until when an attempt is certainly current, by two clocks of this machine, which its processes share: the monotonic one stands
 * still while the machine sleeps, as a rule, and the wall clock may be set. What either of them says counts.
 */
export interface FreshUntil {
  /** As `process.hrtime`, in milliseconds. */
  readonly monotonicMs: number;
  /** Since 1970. */
  readonly wallMs: number;
}

/** Keeps an attempt that Temporal has given up meanwhile from beginning its effect (docs/guarantees.md). */
export interface Fence {
  /** Until when nobody has to be asked. */
  readonly freshUntil: FreshUntil;
  /** True where the attempt is certainly current. Costs nothing: for the last moment before an effect. */
  isFresh(): boolean;
  /**
   * Returns where the attempt is current; asks only where that is in doubt. To be called right before an effect. Throws
   * BLW_STEP_OUTDATED, retryable, where it is not, or nobody says so; the signal's reason where the step is to stop.
   */
  confirm(): Promise<void>;
}

/** A fence that asks `renew` in doubt, which gives a later time, or throws. */
export class AttemptFence implements Fence {
  #asking: Promise<FreshUntil> | undefined;

  constructor(
    private until: FreshUntil,
    private readonly signal: AbortSignal,
    private readonly renew: () => Promise<FreshUntil>,
  ) {}

  get freshUntil(): FreshUntil {
    return this.until;
  }

  isFresh(): boolean {
    return monotonicMs() < this.until.monotonicMs && Date.now() < this.until.wallMs;
  }

  async confirm(): Promise<void> {
    this.signal.throwIfAborted();
    if (this.isFresh()) return;
    try {
      this.#asking ??= this.renew();
      this.until = await this.#asking;
    } finally {
      this.#asking = undefined;
    }
    this.signal.throwIfAborted();
    if (!this.isFresh()) throw outdated('it stood still while it asked Temporal');
  }
}

/** So long from now, by both clocks. */
export function freshFor(ms: number): FreshUntil {
  return { monotonicMs: monotonicMs() + ms, wallMs: Date.now() + ms };
}

/** The failure of an attempt that has had no effect and must not have one any more. */
export function outdated(why: string, cause?: unknown): BlockFailure {
  const detail = `nothing was done by this attempt: it came too late to begin, and ${why}; look for a worker that stood still, or was cut off from Temporal`;
  return retryable('BLW_STEP_OUTDATED', detail, cause === undefined ? {} : { cause });
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
