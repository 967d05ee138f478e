import type { Json, JsonObject } from '../../dsl/json';
import { isRepeatable } from '../../dsl/repeatable';
import type { BlockContext, StepIdentity } from '../block';
import { outcomeUnknown } from '../outcome-unknown';
import { StepMeter, type StepUsage } from '../step-meter';
import { SpanRecorder } from '../tracing/span-recorder';
import {
  BlockProcess,
  type BlockProcessOptions,
  type JobOutcome,
  maxRssBytes,
  type ProcessExit,
} from './block-process';
import type { ExitReason } from './exit-reason';
import { closedFailure, crashFailure, deadlineFailure } from './process-failures';
import { decodeFailure, type JobRequest } from './protocol';

/** How a pool is made. */
export interface BlockProcessPoolOptions extends BlockProcessOptions {
  /** Most processes at a time. */
  readonly size: number;
}

/** What a pool is doing. */
export interface BlockProcessPoolStats {
  readonly size: number;
  readonly busy: number;
  readonly idle: number;
  /** Blocks that wait for a process. */
  readonly queued: number;
  /** Processes started so far. */
  readonly started: number;
  /** Processes that ended under a block, of their own or because the block did not stop. */
  readonly lost: number;
  /** Memory of all processes: now, as the system says, or else as each reported it last. */
  readonly rssBytes: number;
  /** CPU time of all processes so far, those that have ended included; from the same source. */
  readonly cpuMs: number;
  /** Processes that have ended so far, by reason. */
  readonly exits: ReadonlyMap<ExitReason, number>;
}

/** Runs blocks in child processes, which can be ended whatever they are doing. */
export interface BlockProcessPool {
  /**
   * Runs a block as its executor would here: same output, same failures, heartbeats passed on. In addition, all retryable:
   * BLW_SQL_TIMEOUT (`sql.*`) or BLW_STEP_TIMEOUT 0.1 s after the context's deadline, BLW_BLOCK_CRASHED where the process ends.
   * Where the block had begun and must not be run twice, these are BLW_OUTCOME_UNKNOWN instead, not retryable.
   * Throws `signal.reason` once cancelled, at the latest a second later. The context's ports are not used.
   */
  run(blockType: string, args: JsonObject, context: BlockContext): Promise<Json>;
  /** Ends all processes, running blocks included; what waits or comes later fails with BLW_BLOCK_CRASHED, retryable. */
  close(): Promise<void>;
  stats(): BlockProcessPoolStats;
  /** Process ids of the children that live, for logs and tests. */
  pids(): number[];
}

/** How long a process may take to close its files and connections. */
const CLOSE_GRACE_MS = 2_000;

/**
 * How much longer than its deadline a process lives. SQLite begins no COMMIT after the deadline; the result of one that it
 * began just before still gets here, where it would otherwise be taken for undone and run twice.
 */
const RESULT_GRACE_MS = 100;

/** The longest timer that Node has; later deadlines are Temporal's to watch. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** An idle process above this share of its memory limit is replaced: a block should not pay for the one before. */
const RETIRE_SHARE = 0.5;

/** Makes a pool. Processes are started when a block needs one, and kept. */
export function createBlockProcessPool(options: BlockProcessPoolOptions): BlockProcessPool {
  return new ProcessPool(options);
}

/** One try at a job, and why the pool ended it, if it did. */
interface Run {
  readonly outcome: JobOutcome;
  readonly stopped: 'deadline' | 'cancelled' | undefined;
  /** How long the process had it. */
  readonly lastedMs: number;
}

interface Waiting {
  readonly blockType: string;
  /** Limit of the process that it needs. */
  readonly memoryMb: number;
  readonly take: (process: BlockProcess) => void;
  readonly fail: (error: unknown) => void;
}

class ProcessPool implements BlockProcessPool {
  readonly #processes = new Set<BlockProcess>();
  readonly #idle: BlockProcess[] = [];
  readonly #queue: Waiting[] = [];
  #closing: Promise<void> | undefined;
  #jobs = 0;
  #started = 0;
  #lost = 0;
  /** CPU time of processes that have ended. */
  #endedCpuMs = 0;
  readonly #exits = new Map<ExitReason, number>();

  constructor(private readonly options: BlockProcessPoolOptions) {}

  async run(blockType: string, args: JsonObject, context: BlockContext): Promise<Json> {
    const { step, deadline, fence, lastHeartbeat } = context;
    this.#jobs += 1;
    const job: JobRequest = {
      id: this.#jobs,
      blockType,
      args,
      step,
      deadline,
      freshUntil: fence.freshUntil,
      ...(lastHeartbeat === undefined ? {} : { lastHeartbeat }),
    };
    const meter = StepMeter.current();
    const recorder = SpanRecorder.current();
    const first = await this.#runOnce(job, context);
    // A process may have ended while it was idle, unnoticed so far. The block has not begun, so another one may run it.
    const wasIdleLoss = first.outcome.kind === 'lost' && !first.outcome.wasStarted && first.stopped === undefined;
    const run = wasIdleLoss ? await this.#runOnce(job, context) : first;
    meter?.add(usedIn(run));
    if (run.outcome.kind !== 'lost') recorder?.addAll(run.outcome.spans ?? []);
    return this.#unwrap(run, job, context);
  }

  stats(): BlockProcessPoolStats {
    const usages = [...this.#processes].map((process) => {
      process.refreshUsage();
      return process.usage;
    });
    return {
      size: this.options.size,
      busy: this.#processes.size - this.#idle.length,
      idle: this.#idle.length,
      queued: this.#queue.length,
      started: this.#started,
      lost: this.#lost,
      rssBytes: usages.reduce((sum, usage) => sum + usage.rssBytes, 0),
      cpuMs: usages.reduce((sum, usage) => sum + usage.cpuMs, this.#endedCpuMs),
      exits: this.#exits,
    };
  }

  pids(): number[] {
    return [...this.#processes].flatMap((process) => (process.pid === undefined ? [] : [process.pid]));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const { blockType, fail } of this.#queue.splice(0)) fail(closedFailure(blockType));
    await Promise.all([...this.#processes].map((process) => process.close(CLOSE_GRACE_MS, 'stopped')));
  }

  async #runOnce(job: JobRequest, context: BlockContext): Promise<Run> {
    const process = await this.#acquire(job.blockType, context);
    let stopped: Run['stopped'];
    const onDeadline = (): void => {
      stopped = 'deadline';
      process.kill('deadline');
    };
    const onAbort = (): void => {
      // The deadline has a timer of its own.
      if (Date.now() >= job.deadline) return;
      stopped = 'cancelled';
      process.cancel();
    };
    const timer = atDeadline(context, onDeadline, RESULT_GRACE_MS);
    context.signal.addEventListener('abort', onAbort, { once: true });
    try {
      // Aborted between the turn in the queue and here.
      context.signal.throwIfAborted();
      const begunAt = performance.now();
      const outcome = await process.run(job, {
        heartbeat: (details) => context.heartbeat(details),
        confirm: async () => {
          await context.fence.confirm();
          return context.fence.freshUntil;
        },
      });
      return { outcome, stopped, lastedMs: performance.now() - begunAt };
    } finally {
      clearTimeout(timer);
      context.signal.removeEventListener('abort', onAbort);
      this.#release(process);
    }
  }

  #unwrap({ outcome, stopped }: Run, { blockType, args }: JobRequest, { signal, step }: BlockContext): Json {
    // What was done was done: a result counts even where it crossed with a cancellation.
    if (outcome.kind === 'result') return outcome.output;
    if (outcome.kind === 'lost') this.#lost += 1;
    if (stopped === 'cancelled') throw signal.reason;
    if (outcome.kind === 'failure' && stopped === undefined && this.#closing === undefined) {
      throw decodeFailure(outcome.failure);
    }
    const failure = this.#stoppedFailure({ outcome, stopped }, blockType, step);
    const isOpen = outcome.kind !== 'lost' || outcome.wasStarted;
    const isFinal = isOpen && !isRepeatable({ block: blockType, idempotent: step.idempotent }, args);
    throw isFinal ? outcomeUnknown(failure.message, { cause: failure }) : failure;
  }

  #stoppedFailure(
    { outcome, stopped }: Pick<Run, 'outcome' | 'stopped'>,
    blockType: string,
    step: StepIdentity,
  ): Error {
    if (stopped === 'deadline') return deadlineFailure(blockType, 'the block was stopped');
    if (this.#closing !== undefined || outcome.kind !== 'lost') return closedFailure(blockType);
    return crashFailure(blockType, outcome.exit, {
      memoryMb: this.#memoryOf(step),
      isTenants: step.memoryMb !== undefined,
    });
  }

  /** Waits in line for a process; gives up when the step does. */
  async #acquire(blockType: string, context: BlockContext): Promise<BlockProcess> {
    const { signal, deadline, step } = context;
    signal.throwIfAborted();
    if (this.#closing !== undefined) throw closedFailure(blockType);
    if (Date.now() >= deadline) throw deadlineFailure(blockType, 'the block had not begun');
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        const index = this.#queue.indexOf(waiting);
        if (index !== -1) this.#queue.splice(index, 1);
      };
      const fail = (error: unknown): void => {
        leave();
        reject(error);
      };
      const take = (process: BlockProcess): void => {
        leave();
        resolve(process);
      };
      const onAbort = (): void => fail(signal.reason);
      const giveUp = (): void => fail(deadlineFailure(blockType, 'the block was still waiting for a free process'));
      const timer = atDeadline(context, giveUp);
      signal.addEventListener('abort', onAbort, { once: true });
      const waiting: Waiting = { blockType, memoryMb: this.#memoryOf(step), take, fail };
      this.#queue.push(waiting);
      this.#serveQueue();
    });
  }

  #serveQueue(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const process = this.#takeIdle(next.memoryMb) ?? this.#start(next.memoryMb);
      if (process === undefined) break;
      next.take(process);
    }
    if (this.#queue.length > 0) this.#makeRoom();
  }

  /** Of a tenant that may have less than the worker gives, what the policy says. */
  #memoryOf({ memoryMb }: StepIdentity): number {
    return Math.min(memoryMb ?? this.options.maxMemoryMb, this.options.maxMemoryMb);
  }

  /** The one that was used last. */
  #takeIdle(memoryMb: number): BlockProcess | undefined {
    const index = this.#idle.findLastIndex((process) => process.maxMemoryMb === memoryMb);
    return index === -1 ? undefined : this.#idle.splice(index, 1)[0];
  }

  /** Ends the process that was idle longest: all that are idle have other limits than the one that is needed. */
  #makeRoom(): void {
    if ([...this.#processes].some((process) => !process.isUsable)) return;
    this.#idle
      .shift()
      ?.close(CLOSE_GRACE_MS, 'replaced')
      .catch(() => undefined);
  }

  /** A new process, where there is room for one. */
  #start(memoryMb: number): BlockProcess | undefined {
    if (this.#closing !== undefined || this.#processes.size >= this.options.size) return undefined;
    const process = new BlockProcess({ ...this.options, maxMemoryMb: memoryMb });
    this.#started += 1;
    this.#processes.add(process);
    process.exited.then(
      (exit) => this.#forget(process, exit),
      (error: unknown) => this.#forget(process, { code: null, signal: null, stderr: String(error) }),
    );
    return process;
  }

  #forget(process: BlockProcess, exit: ProcessExit): void {
    this.#processes.delete(process);
    const reason = process.exitReason(exit);
    this.#exits.set(reason, (this.#exits.get(reason) ?? 0) + 1);
    this.#endedCpuMs += process.usage.cpuMs;
    const index = this.#idle.indexOf(process);
    if (index !== -1) this.#idle.splice(index, 1);
    this.#serveQueue();
  }

  #release(process: BlockProcess): void {
    // A process that is ending makes room once it is gone.
    if (!process.isUsable) return;
    if (process.usage.rssBytes > maxRssBytes(process) * RETIRE_SHARE) {
      process.close(CLOSE_GRACE_MS, 'retired').catch(() => undefined);
      return;
    }
    this.#idle.push(process);
    this.#serveQueue();
  }
}

/** A process that ended under a job took along what it used; it can have computed all the time, and no more than that. */
function usedIn({ outcome, lastedMs }: Run): StepUsage {
  if (outcome.kind !== 'lost') return outcome.used;
  return { cpuMs: outcome.wasStarted ? lastedMs : 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 };
}

/** Calls back at the deadline and some time more, unless it is further away than timers reach. */
function atDeadline({ deadline }: BlockContext, onDeadline: () => void, graceMs = 0): NodeJS.Timeout | undefined {
  const left = Math.max(0, deadline - Date.now()) + graceMs;
  return left > MAX_TIMER_MS ? undefined : setTimeout(onDeadline, left);
}
