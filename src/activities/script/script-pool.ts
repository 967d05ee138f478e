import { availableParallelism } from 'node:os';
import type { Json, JsonObject } from '../../dsl/json';
import type { BlockContext } from '../block';
import { retryable } from '../block-failure';
import { atDeadline } from '../process/at-deadline';
import { closedFailure } from '../process/process-failures';
import type { ChildUsage } from '../process/protocol';
import { StepMeter } from '../step-meter';
import { findIsolation, type Isolation, type IsolationMode } from './isolation';
import { PROCESS_OVERHEAD_MB, sandboxCommand } from './sandbox-command';
import { readAnswer } from './script-answer';
import { scriptRequest } from './script-job';
import { failureOfProcess, outcomeOfScript } from './script-outcome';
import { type EndReason, type ProcessEnd, ScriptProcess } from './script-process';

/** How a pool is made. */
export interface ScriptPoolOptions {
  /** Path of the compiled child-main.js. */
  readonly entry: string;
  /** Most memory of a script's engine, MiB; a tenant may have less. */
  readonly memoryMb: number;
  readonly isolation: IsolationMode;
  /** Where bubblewrap is looked for; as `PATH`. */
  readonly path?: string;
  /** How long a script waits for its process to start; as script-process.ts says where it is absent. */
  readonly readyMs?: number;
  /** Told what isolates scripts, once it is known and when that changes. */
  readonly onIsolation?: (isolation: Isolation) => void;
}

/** Processes that wait for a script, from the first script on. */
const SPARE_PROCESSES = 2;

/** The system counts CPU time in hundredths of a second, at the begin and at the end. */
const CPU_TICKS_MS = 20;

/** Spare processes are ended when no script has come for so long. */
const IDLE_MS = 300_000;

/** Real time of a script that asks for so much CPU time: others may use the machine too. */
function wallMsOf(cpuMs: number): number {
  return 4 * cpuMs + 10_000;
}

/**
 * Runs scripts, each in a process of its own that ends with it. A few processes are started before they are needed; none has ever
 * run anything when a script gets it.
 */
export class ScriptPool {
  /** Absent until somebody asks, since it takes a process to find out. */
  #isolation: Promise<Isolation> | undefined;
  readonly #spare: ScriptProcess[] = [];
  readonly #running = new Set<ScriptProcess>();
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;
  /** CPU time of processes that have run a script. */
  #endedCpuMs = 0;

  constructor(private readonly options: ScriptPoolOptions) {}

  /** What isolates scripts beside their engine. Never rejects. */
  isolation(): Promise<Isolation> {
    this.#isolation ??= this.#find(undefined);
    return this.#isolation;
  }

  /** Process ids of the children that live, spare ones included. */
  pids(): number[] {
    return [...this.#spare, ...this.#running].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Memory of its processes now, and their CPU time so far, those that have ended included; 0 where the system does not say. */
  usage(): ChildUsage {
    const usages = [...this.#spare, ...this.#running].map((process) => process.usage());
    return {
      cpuMs: usages.reduce((sum, { cpuMs }) => sum + cpuMs, this.#endedCpuMs),
      rssBytes: usages.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
    };
  }

  /** Resolves once the spare processes wait for their scripts. */
  async warmUp(): Promise<void> {
    await this.#fill();
    await Promise.all(this.#spare.map(({ ready }) => ready));
  }

  /**
   * Runs a step of `script.run`. Throws BLW_SCRIPT_… and, retryable, BLW_STEP_TIMEOUT, BLW_BLOCK_CRASHED and BLW_SCRIPT_ISOLATION;
   * `signal.reason` once cancelled.
   */
  async run(args: JsonObject, context: BlockContext): Promise<Json> {
    const { signal, step } = context;
    const meter = StepMeter.current();
    const request = scriptRequest(args, Math.min(this.options.memoryMb, step.memoryMb ?? this.options.memoryMb));
    const isolation = await this.#isolate();
    signal.throwIfAborted();
    if (isolation.kind === 'missing') throw isolationFailure(isolation.why);
    if (this.#isClosed) throw closedFailure('script.run');
    const process = this.#take() ?? this.#start(isolation);
    const begunAt = performance.now();
    const end = await this.#attend(process, context, () =>
      process.run(request.job, wallMsOf(request.job.limits.cpuMs)),
    );
    const answer = end.answer === undefined ? undefined : readAnswer(end.answer);
    meter?.add({
      // The process counts more finely than the system, but is not trusted with less, nor with more than can be.
      cpuMs: Math.max(Math.min(answer?.cpuMs ?? 0, mostCpuMs(performance.now() - begunAt)), end.cpuMs - CPU_TICKS_MS),
      peakMemoryBytes: end.peakMemoryBytes ?? Math.min(answer?.peakMemoryBytes ?? 0, this.#mostBytes()),
      bytesIn: 0,
      bytesOut: 0,
    });
    if (answer !== undefined) return outcomeOfScript(answer.end, request);
    const { ended, ...rest } = end;
    if (ended === 'cancelled') throw signal.reason;
    if (ended === 'stopped') throw closedFailure('script.run');
    throw failureOfProcess({ ...rest, ended }, request.job.limits);
  }

  /** Ends all processes; scripts that run or come later fail with BLW_BLOCK_CRASHED, retryable. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idle);
    const processes = [...this.#spare.splice(0), ...this.#running];
    for (const process of processes) process.end('stopped');
    await Promise.all(processes.map(({ exited }) => exited));
    await this.#isolation;
  }

  /**
   * What isolates the next script. What did not work when it was tried is tried again, so that a moment without memory or processes does not decide
   * for good.
   */
  async #isolate(): Promise<Isolation> {
    const known = this.isolation();
    const before = await known;
    if (!('mayChange' in before)) return before;
    if (this.#isolation === known) this.#isolation = this.#find(before);
    const now = await this.isolation();
    if (now.kind === 'bubblewrap') this.#endSpare();
    return now;
  }

  async #find(before: Isolation | undefined): Promise<Isolation> {
    const { isolation: mode, path, onIsolation } = this.options;
    const found = await findIsolation(mode, path);
    if (found.kind !== before?.kind) onIsolation?.(found);
    return found;
  }

  /** Of a process that the system does not measure, and that says so itself. */
  #mostBytes(): number {
    return (this.options.memoryMb + 2 * PROCESS_OVERHEAD_MB) * 1_048_576;
  }

  #endSpare(): void {
    for (const process of this.#spare.splice(0)) process.end('stopped');
  }

  async #attend(process: ScriptProcess, context: BlockContext, run: () => Promise<ProcessEnd>): Promise<ProcessEnd> {
    const { signal, deadline } = context;
    const end = (reason: EndReason) => process.end(reason);
    // The deadline has a timer of its own.
    const onAbort = () => end(Date.now() >= deadline ? 'deadline' : 'cancelled');
    const timer = atDeadline(context, () => end('deadline'));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#running.add(process);
    void process.exited.then(() => {
      this.#running.delete(process);
      this.#endedCpuMs += process.usage().cpuMs;
    });
    try {
      return await run();
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.#keepSpare();
    }
  }

  #take(): ScriptProcess | undefined {
    for (let process = this.#spare.shift(); process !== undefined; process = this.#spare.shift()) {
      if (!process.hasEnded) return process;
    }
    return undefined;
  }

  #start(isolation: Extract<Isolation, { kind: 'bubblewrap' | 'none' }>): ScriptProcess {
    const { entry, memoryMb, readyMs } = this.options;
    return new ScriptProcess(sandboxCommand({ entry, memoryMb, isolation }), memoryMb, readyMs);
  }

  /** After a script, when its own CPU time is not spent on the next one's process. */
  #keepSpare(): void {
    void this.#fill();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#endSpare(), IDLE_MS);
    this.#idle.unref();
  }

  /** Never rejects. */
  async #fill(): Promise<void> {
    const isolation = await this.isolation();
    if (isolation.kind === 'missing') return;
    try {
      while (!this.#isClosed && this.#spare.length < SPARE_PROCESSES) this.#spare.push(this.#start(isolation));
    } catch {
      // The next script starts its own, and tells what is wrong.
    }
  }
}

/** Of a process that has so many ms of real time. */
function mostCpuMs(wallMs: number): number {
  return wallMs * availableParallelism();
}

function isolationFailure(why: string): Error {
  return retryable(
    'BLW_SCRIPT_ISOLATION',
    `script.run: this worker runs scripts only isolated by the operating system (--script-isolation required), and ${why}`,
  );
}
