/** A step is quick where it took no longer of late, ms. */
const QUICK_MS = 200;

/** Times that have to be known of a step before it counts as quick. */
const KNOWN_TIMES = 3;

/** What is left of the longest time with each further one: some 30 quick ones forget one of a second. */
const FADING = 0.95;

/** Steps that are remembered. Those that have not run for the longest time are forgotten. */
const MAX_STEPS = 10_000;

interface Pace {
  readonly times: number;
  /** The longest time, fading. */
  readonly longestMs: number;
  /** Of its largest result, fading. */
  readonly largestBytes: number;
}

/** How long steps take and how much they give, as this worker has measured them. */
export class StepPaces {
  readonly #paces = new Map<string, Pace>();

  record(step: string, ms: number, bytes: number): void {
    const { times, longestMs, largestBytes } = this.#paces.get(step) ?? { times: 0, longestMs: 0, largestBytes: 0 };
    // The last one recorded stands last.
    this.#paces.delete(step);
    this.#paces.set(step, {
      times: times + 1,
      longestMs: Math.max(ms, longestMs * FADING),
      largestBytes: Math.max(bytes, largestBytes * FADING),
    });
    if (this.#paces.size <= MAX_STEPS) return;
    const [oldest] = this.#paces.keys();
    if (oldest !== undefined) this.#paces.delete(oldest);
  }

  /** Bytes of the largest result of late; undefined: it is not known. */
  largestBytes(step: string): number | undefined {
    return this.#paces.get(step)?.largestBytes;
  }

  isQuick(step: string): boolean {
    const pace = this.#paces.get(step);
    return pace !== undefined && pace.times >= KNOWN_TIMES && pace.longestMs <= QUICK_MS;
  }
}

/** What a step is remembered by. */
export function paceKey({ tenant, flow, stepId }: { tenant: string; flow: string; stepId: string }): string {
  return `${tenant}\n${flow}\n${stepId}`;
}
