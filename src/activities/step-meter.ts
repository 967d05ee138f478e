import { CallScope } from './call-scope';

/** What an attempt of a step used; JSON. */
export interface StepUsage {
  readonly cpuMs: number;
  /** Of the process of its own that ran the block; 0 where it had none. */
  readonly peakMemoryBytes: number;
  /** What was read: bodies of HTTP answers, contents of blobs, rows of SQL as JSON. */
  readonly bytesIn: number;
  /** What was written: bodies of HTTP requests, contents of blobs, parameters of SQL as JSON. */
  readonly bytesOut: number;
}

const running = new CallScope<StepMeter>();

/** Adds up what one attempt of a step uses while it runs. */
export class StepMeter implements StepUsage {
  cpuMs = 0;
  peakMemoryBytes = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Told when the step begins and ends to wait for something outside; set by who measures its CPU time. */
  onWait: ((isWaiting: boolean) => void) | undefined;
  #waits = 0;

  /** The meter of the step whose code is running, for what has been called through {@link run} and has not waited since. */
  static current(): StepMeter | undefined {
    return running.current;
  }

  /**
   * Calls something in the name of the step. It is known there until the first wait, and not after it: what a block does later with its ports is
   * counted since each call of these comes through here (attempt-ports.ts).
   */
  run<T>(work: () => T): T {
    return running.run(this, work);
  }

  /** Work of which the step only awaits the end: what is computed meanwhile is not its own. */
  async idly<T>(start: () => Promise<T>): Promise<T> {
    const work = start();
    this.#waits += 1;
    if (this.#waits === 1) this.onWait?.(true);
    try {
      return await work;
    } finally {
      this.#waits -= 1;
      if (this.#waits === 0) this.onWait?.(false);
    }
  }

  add({ cpuMs, peakMemoryBytes, bytesIn, bytesOut }: StepUsage): void {
    this.cpuMs += cpuMs;
    this.peakMemoryBytes = Math.max(this.peakMemoryBytes, peakMemoryBytes);
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
  }

  read(bytes: number): void {
    this.bytesIn += bytes;
  }

  wrote(bytes: number): void {
    this.bytesOut += bytes;
  }

  /** A copy, as numbers. */
  usage(): StepUsage {
    const { cpuMs, peakMemoryBytes, bytesIn, bytesOut } = this;
    return { cpuMs, peakMemoryBytes, bytesIn, bytesOut };
  }
}
