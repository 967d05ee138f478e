import { ExpressionThread } from './expression-thread';
import { JobQueue } from './job-queue';
import type { EngineLanguage, EngineLimits, HostJob, Outcome, ThreadData } from './protocol';

/** How lanes are made. */
export interface LanesOptions {
  /** Path of the compiled thread-main.js. */
  readonly entry: string;
  readonly jq: ThreadData['jq'];
  readonly limits: EngineLimits;
}

interface Waiting {
  readonly text: string;
  readonly onBegin: () => void;
  readonly settle: (outcome: Outcome) => void;
}

interface Running {
  readonly thread: ExpressionThread;
  readonly since: number;
  /** Processor time of the thread before the job. */
  readonly cpuBefore: number | undefined;
  isDemoted: boolean;
}

/** Part of its deadline that a job must have computed, and not waited for a processor, to be ended at once. */
const COMPUTED_SHARE = 0.5;

/** On a machine that is overloaded a job has this many times its deadline. */
const OVERLOAD_FACTOR = 2;

/** Threads that are kept ready beyond the places of the fast lane, and how many more while it is held up. */
const SPARE_THREADS = 2;
const MAX_SPARE_THREADS = 8;

/** Threads that start at a time: a start takes some 50 ms of a processor, and the first to be ready is waited for most. */
const MAX_STARTING = 2;

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
  readonly #queue = new JobQueue<Waiting>();
  /** Jobs that are known to take long: they never enter the fast lane. */
  readonly #slowQueue: Waiting[] = [];
  readonly #idle: ExpressionThread[] = [];
  readonly #running = new Set<Running>();
  readonly #threads = new Set<ExpressionThread>();
  readonly #used = new Set<EngineLanguage>();
  #starting = 0;
  #startingSlow = 0;
  #spares = SPARE_THREADS;
  #ticker: NodeJS.Timeout | undefined;
  #ticks = 0;
  #isClosed = false;

  constructor(private readonly options: LanesOptions) {}

  /** Does a job in a thread. Never rejects. */
  run({ text, language, experience }: HostJob, onBegin: () => void): Promise<Outcome> {
    this.#used.add(language);
    return new Promise((settle) => {
      const waiting: Waiting = { text, onBegin, settle };
      if (experience === 'slow') this.#slowQueue.push(waiting);
      else this.#queue.add(waiting, experience === 'quick');
      this.#dispatch();
    });
  }

  /** Ends all threads; running jobs end as crashed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ticker);
    for (const { settle } of [...this.#queue.takeAll(), ...this.#slowQueue.splice(0)]) settle(CRASHED);
    const threads = [...this.#threads];
    for (const thread of threads) thread.stop('crashed');
    await Promise.all(threads.map(({ ended }) => ended));
  }

  #dispatch(): void {
    if (this.#isClosed) return;
    const { fastThreads } = this.options.limits;
    while (this.#queue.length > 0 && this.#idle.length > 0 && this.#busyFast() < fastThreads) {
      const thread = this.#idle.pop();
      const waiting = this.#queue.take();
      if (thread !== undefined && waiting !== undefined) this.#begin(thread, waiting);
    }
    if (this.#queue.length === 0) this.#spares = SPARE_THREADS;
    const wanted = Math.min(fastThreads, this.#busyFast() + this.#queue.length) + this.#spares;
    while (this.#starting < MAX_STARTING && this.#busyFast() + this.#idle.length + this.#starting < wanted)
      this.#start();
    const slowPlaces = Math.min(MAX_STARTING, this.options.limits.maxDemoted - this.#demoted());
    while (this.#startingSlow < Math.min(this.#slowQueue.length, slowPlaces)) this.#startSlow();
  }

  #busyFast(): number {
    return [...this.#running].filter(({ isDemoted }) => !isDemoted).length;
  }

  #demoted(): number {
    return this.#running.size - this.#busyFast();
  }

  #start(): void {
    this.#starting += 1;
    const thread = this.#newThread((isReady) => {
      this.#starting -= 1;
      // A thread that cannot even start fails a job, or the next one would wait for the next that cannot.
      if (isReady) this.#idle.push(thread);
      else this.#queue.take()?.settle(CRASHED);
    });
  }

  #startSlow(): void {
    this.#startingSlow += 1;
    const thread = this.#newThread((isReady) => {
      this.#startingSlow -= 1;
      const waiting = this.#slowQueue.shift();
      if (!isReady || waiting === undefined) {
        waiting?.settle(CRASHED);
        thread.stop('crashed');
        return;
      }
      thread.demote();
      this.#begin(thread, waiting, true);
    });
  }

  /** A thread, and once: whether it is ready, or has ended before it was. */
  #newThread(onStarted: (isReady: boolean) => void): ExpressionThread {
    const { entry, jq, limits } = this.options;
    const thread = new ExpressionThread(entry, { jq, warm: [...this.#used], limits });
    this.#threads.add(thread);
    let hasStarted = false;
    const started = (isReady: boolean): void => {
      if (!hasStarted) onStarted(isReady);
      hasStarted = true;
      this.#dispatch();
    };
    thread.ready.then(() => started(true), ignore);
    thread.ended.then(() => {
      this.#threads.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at !== -1) this.#idle.splice(at, 1);
      started(false);
    }, ignore);
    return thread;
  }

  #begin(thread: ExpressionThread, { text, onBegin, settle }: Waiting, isDemoted = false): void {
    const running: Running = { thread, since: performance.now(), cpuBefore: thread.cpuMs(), isDemoted };
    this.#running.add(running);
    this.#ticker ??= setInterval(() => this.#look(), TICK_MS);
    onBegin();
    thread.run(text).then((outcome) => {
      this.#running.delete(running);
      if (outcome.kind === 'answered') this.#keep(thread, running.isDemoted);
      settle(outcome);
      this.#dispatch();
      if (this.#running.size === 0) {
        clearInterval(this.#ticker);
        this.#ticker = undefined;
      }
    }, ignore);
  }

  /** A thread that was demoted stays so; those beyond what is kept ready go, the oldest first. */
  #keep(thread: ExpressionThread, isDemoted: boolean): void {
    if (isDemoted) thread.stop('crashed');
    else this.#idle.push(thread);
    const kept = this.options.limits.fastThreads + this.#spares;
    if (this.#busyFast() + this.#idle.length > kept) this.#idle.shift()?.stop('crashed');
  }

  #look(): void {
    const { deadlineMs, demoteAfterMs, demoteUnderLoadMs, maxDemoted } = this.options.limits;
    const waiting = this.#queue.length;
    for (const running of this.#running) {
      const tookMs = performance.now() - running.since;
      const computedMs = computedTime(running) ?? tookMs;
      const isOver = tookMs >= deadlineMs && computedMs >= deadlineMs * COMPUTED_SHARE;
      if (isOver || tookMs >= deadlineMs * OVERLOAD_FACTOR) running.thread.stop('deadline');
      else if (!running.isDemoted && computedMs >= (waiting > 0 ? demoteUnderLoadMs : demoteAfterMs)) {
        if (this.#demoted() >= maxDemoted) continue;
        // Whatever waits behind one that takes long may do so, too: have threads ready for when they are demoted in turn.
        this.#spares = Math.max(this.#spares, Math.min(waiting, MAX_SPARE_THREADS));
        this.#demote(running);
      }
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
    longest?.thread.stop('memory');
  }
}

/** What a job has computed so far, in ms of a processor; undefined where that cannot be told. */
function computedTime({ thread, cpuBefore }: Running): number | undefined {
  const cpuMs = thread.cpuMs();
  return cpuMs === undefined || cpuBefore === undefined ? undefined : cpuMs - cpuBefore;
}

const CRASHED: Outcome = { kind: 'stopped', reason: 'crashed', expression: 0 };

/** For promises that do not reject. */
function ignore(): void {}
