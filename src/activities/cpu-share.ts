import { performance } from 'node:perf_hooks';
import { StepMeter } from './step-meter';

/**
 * CPU time of steps that share a thread: what it takes while they run, in equal shares between those that run at the time and do
 * not wait for an answer from outside. An estimate, since nothing tells whose callback took how long; and what the thread does while
 * all wait is nobody's. Measured: without the waits, a call that was answered after 8 s beside flows of another tenant was charged
 * with 1.6 s that these took.
 */
export class CpuShare {
  readonly #active = new Set<StepMeter>();
  #readMs: number;

  /** `clock`: CPU time so far, in milliseconds; default: how long this thread's event loop was not idle. */
  constructor(private readonly clock: () => number = busyMs) {
    this.#readMs = clock();
  }

  /** Runs a step's block, and charges its meter for its share. */
  async charge<T>(work: () => Promise<T>): Promise<T> {
    const meter = StepMeter.current();
    if (meter === undefined) return await work();
    this.#switch(meter, true);
    meter.onWait = (isWaiting) => this.#switch(meter, !isWaiting);
    try {
      return await work();
    } finally {
      meter.onWait = undefined;
      this.#switch(meter, false);
    }
  }

  #switch(meter: StepMeter, isActive: boolean): void {
    const now = this.clock();
    const passedMs = now - this.#readMs;
    this.#readMs = now;
    for (const active of this.#active) active.cpuMs += passedMs / this.#active.size;
    if (isActive) this.#active.add(meter);
    else this.#active.delete(meter);
  }
}

function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
