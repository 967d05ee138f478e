import { ExpressionThread } from './expression-thread';
import type { EngineLanguage, EngineLimits, Outcome, StopReason, ThreadData } from './protocol';

/** How lanes are made. */
export interface LanesOptions {
  /** Path of the compiled thread-main.js. */
  readonly entry: string;
  readonly jq: ThreadData['jq'];
  readonly limits: EngineLimits;
}

interface Waiting {
  readonly job: string;
  readonly onBegin: () => void;
  readonly settle: (outcome: Outcome) => void;
}

interface Running {
  readonly thread: ExpressionThread;
  readonly since: number;
  isDemoted: boolean;
}

/** How often it is looked at how long jobs take, and after how many looks at the memory. */
const TICK_MS = 10;
const TICKS_A_MEMORY_CHECK = 5;

const MIB = 1024 * 1024;

/**
 * Two lanes of threads. Jobs begin in the fast lane, which has a place for each processor. One that takes long leaves its
 * place to the next: its thread goes on at the lowest priority until it ends or is ended. So hostile expressions hold up the
 * others for moments only, and expensive ones still have their second.
 */
export class ThreadLanes {
  readonly #queue: Waiting[] = [];
  readonly #idle: ExpressionThread[] = [];
  readonly #running = new Set<Running>();
  readonly #threads = new Set<ExpressionThread>();
  readonly #used = new Set<EngineLanguage>();
  #starting = 0;
  #ticker: NodeJS.Timeout | undefined;
  #ticks = 0;
  #isClosed = false;

  constructor(private readonly options: LanesOptions) {}

  /** Does a job in a thread. Never rejects. */
  run(job: string, language: EngineLanguage, onBegin: () => void): Promise<Outcome> {
    this.#used.add(language);
    return new Promise((settle) => {
      this.#queue.push({ job, onBegin, settle });
      this.#dispatch();
    });
  }

  /** Ends all threads; running jobs end as crashed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ticker);
    for (const { settle } of this.#queue.splice(0)) settle(CRASHED);
    const threads = [...this.#threads];
    for (const thread of threads) thread.stop('crashed');
    await Promise.all(threads.map(({ ended }) => ended));
  }

  #dispatch(): void {
    if (this.#isClosed) return;
    const { fastThreads } = this.options.limits;
    while (this.#queue.length > 0 && this.#idle.length > 0 && this.#busyFast() < fastThreads) {
      const thread = this.#idle.pop();
      const waiting = this.#queue.shift();
      if (thread !== undefined && waiting !== undefined) this.#begin(thread, waiting);
    }
    // One more than is busy or asked for: the warm spare.
    const wanted = Math.min(fastThreads, this.#busyFast() + this.#queue.length) + 1;
    for (let have = this.#busyFast() + this.#idle.length + this.#starting; have < wanted; have += 1) this.#start();
  }

  #busyFast(): number {
    return [...this.#running].filter(({ isDemoted }) => !isDemoted).length;
  }

  #demoted(): number {
    return this.#running.size - this.#busyFast();
  }

  #start(): void {
    const { entry, jq, limits } = this.options;
    const thread = new ExpressionThread(entry, { jq, warm: [...this.#used], limits });
    this.#threads.add(thread);
    this.#starting += 1;
    let isStarting = true;
    const started = (): void => {
      if (isStarting) this.#starting -= 1;
      isStarting = false;
    };
    thread.ready.then(() => {
      started();
      this.#idle.push(thread);
      this.#dispatch();
    }, ignore);
    thread.ended.then(() => {
      // A thread that cannot even start fails a job, or the next one would wait for the next that cannot.
      if (isStarting) this.#queue.shift()?.settle(CRASHED);
      started();
      this.#threads.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at !== -1) this.#idle.splice(at, 1);
      if (this.#queue.length > 0) this.#dispatch();
    }, ignore);
  }

  #begin(thread: ExpressionThread, { job, onBegin, settle }: Waiting): void {
    const running: Running = { thread, since: performance.now(), isDemoted: false };
    this.#running.add(running);
    this.#ticker ??= setInterval(() => this.#look(), TICK_MS);
    onBegin();
    thread.run(job).then((outcome) => {
      this.#running.delete(running);
      if (outcome.kind === 'answered' && !running.isDemoted) this.#idle.push(thread);
      else if (outcome.kind === 'answered') thread.stop('crashed');
      settle(outcome);
      this.#dispatch();
      if (this.#running.size === 0) {
        clearInterval(this.#ticker);
        this.#ticker = undefined;
      }
    }, ignore);
  }

  #look(): void {
    const { deadlineMs, demoteAfterMs, demoteUnderLoadMs, maxDemoted } = this.options.limits;
    const now = performance.now();
    for (const running of this.#running) {
      const tookMs = now - running.since;
      const limitMs = this.#queue.length > 0 ? demoteUnderLoadMs : demoteAfterMs;
      if (tookMs >= deadlineMs) running.thread.stop('deadline');
      else if (!running.isDemoted && tookMs >= limitMs && this.#demoted() < maxDemoted) this.#demote(running);
    }
    this.#ticks += 1;
    if (this.#ticks % TICKS_A_MEMORY_CHECK === 0) this.#watchMemory();
  }

  #demote(running: Running): void {
    running.isDemoted = true;
    running.thread.demote();
    this.#dispatch();
  }

  /** Where all together hold too much, the one that runs longest ends. */
  #watchMemory(): void {
    if (process.memoryUsage.rss() < this.options.limits.maxRssMb * MIB) return;
    const [longest] = [...this.#running].sort((left, right) => left.since - right.since);
    longest?.thread.stop('memory' satisfies StopReason);
  }
}

const CRASHED: Outcome = { kind: 'stopped', reason: 'crashed', expression: 0 };

/** For promises that do not reject. */
function ignore(): void {}
