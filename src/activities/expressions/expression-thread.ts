import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { EngineLanguage, EngineLimits, Outcome, StopReason, ThreadData, ThreadMessage } from './protocol';

/** What V8 keeps for young objects, and the stack of a thread. */
const YOUNG_GENERATION_MB = 32;
const STACK_MB = 4;

/** One thread; does one job at a time, and can be ended whatever it is doing. */
export class ExpressionThread {
  readonly #worker: Worker;
  readonly #position = new Int32Array(new SharedArrayBuffer(4));
  #settle: ((outcome: Outcome) => void) | undefined;
  #tid: number | undefined;
  #stopReason: StopReason = 'crashed';
  #hasEnded = false;
  /** Resolves when the thread takes jobs; never where it ends before. */
  readonly ready: Promise<void>;
  #becomeReady: () => void = () => undefined;
  /** Resolves when the thread is gone. */
  readonly ended: Promise<void>;

  constructor(
    entry: string,
    { jq, warm, limits }: { jq: ThreadData['jq']; warm: readonly EngineLanguage[]; limits: EngineLimits },
  ) {
    const workerData: ThreadData = { jq, position: this.#position, warm };
    this.#worker = new Worker(entry, {
      workerData,
      env: {},
      argv: [],
      execArgv: [],
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: {
        maxOldGenerationSizeMb: limits.heapMb,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
        stackSizeMb: STACK_MB,
      },
    });
    this.#worker.stdout.resume();
    this.#worker.stderr.resume();
    this.#worker.on('message', (message: ThreadMessage) => this.#receive(message));
    // The end follows as `exit`, which has all that is needed.
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') this.#stopReason = 'memory';
    });
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#hasEnded = true;
        this.#finish({ kind: 'stopped', reason: this.#stopReason, expression: Atomics.load(this.#position, 0) });
        resolve();
      });
    });
  }

  /** Does a job. Never rejects. */
  run(job: string): Promise<Outcome> {
    return new Promise((settle) => {
      this.#settle = settle;
      Atomics.store(this.#position, 0, 0);
      if (this.#hasEnded) this.#finish({ kind: 'stopped', reason: 'crashed', expression: 0 });
      else this.#worker.postMessage(job);
    });
  }

  /** Processor time of the thread since it began, in ms; undefined where it cannot be told (not on Linux). */
  cpuMs(): number | undefined {
    if (this.#tid === undefined) return undefined;
    try {
      const [nanoseconds = ''] = readFileSync(`/proc/self/task/${this.#tid}/schedstat`, 'latin1').split(' ');
      return Number(nanoseconds) / 1e6;
    } catch {
      return undefined;
    }
  }

  /** Leaves the processors to the other threads, for good: only a privileged process could take it back. */
  demote(): void {
    if (this.#tid === undefined) return;
    try {
      setPriority(this.#tid, constants.priority.PRIORITY_LOW);
    } catch {
      // The thread has ended meanwhile.
    }
  }

  /** Ends the thread, and its job for this reason. */
  stop(reason: StopReason): void {
    this.#stopReason = reason;
    this.#finish({ kind: 'stopped', reason, expression: Atomics.load(this.#position, 0) });
    this.#worker.terminate().catch(() => undefined);
  }

  #receive(message: ThreadMessage): void {
    if (message.type === 'ready') {
      this.#tid = message.tid;
      this.#becomeReady();
    } else this.#finish({ kind: 'answered', answer: message.answer });
  }

  #finish(outcome: Outcome): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(outcome);
  }
}
