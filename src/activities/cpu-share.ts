import { performance } from 'node:perf_hooks';
import { StepMeter } from './step-meter';

/**
 * CPU time of steps that share a thread: what it takes while they run, in equal shares between those that run at the time. An
 * estimate, since nothing tells whose callback took how long; the sum over all steps is right.
 */
export class CpuShare {
  readonly #running = new Set<StepMeter>();
  #readMs: number;

  /** `clock`: CPU time so far, in milliseconds; default: how long this thread's event loop was not idle. */
  constructor(private readonly clock: () => number = busyMs) {
    this.#readMs = clock();
  }

  /** Runs a step's block, and charges its meter for its share. */
  async charge<T>(work: () => Promise<T>): Promise<T> {
    const meter = StepMeter.current();
    if (meter === undefined) return await work();
    this.#share();
    this.#running.add(meter);
    try {
      return await work();
    } finally {
      this.#share();
      this.#running.delete(meter);
    }
  }

  #share(): void {
    const now = this.clock();
    const passedMs = now - this.#readMs;
    this.#readMs = now;
    for (const meter of this.#running) meter.cpuMs += passedMs / this.#running.size;
  }
}

function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
