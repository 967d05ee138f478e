import type { BlockContext, StepIdentity } from '../block';
import { atDeadline } from './at-deadline';
import { BlockProcess, type BlockProcessOptions, maxRssBytes, type ProcessExit } from './block-process';
import type { ExitReason } from './exit-reason';
import { closedFailure, deadlineFailure } from './process-failures';

/** How a pool is made. */
export interface BlockProcessPoolOptions extends BlockProcessOptions {
  /** Most processes at a time. */
  readonly size: number;
}

/** What the processes of a pool do and use. */
export interface LenderStats {
  readonly size: number;
  readonly busy: number;
  readonly idle: number;
  /** Blocks that wait for a process. */
  readonly queued: number;
  /** Processes started so far. */
  readonly started: number;
  /** Memory of all processes: now, as the system says, or else as each reported it last. */
  readonly rssBytes: number;
  /** CPU time of all processes so far, those that have ended included; from the same source. */
  readonly cpuMs: number;
  /** Processes that have ended so far, by reason. */
  readonly exits: ReadonlyMap<ExitReason, number>;
}

/** How long a process may take to close its files and connections. */
const CLOSE_GRACE_MS = 2_000;

/** An idle process above this share of its memory limit is replaced: a block should not pay for the one before. */
const RETIRE_SHARE = 0.5;

interface Waiting {
  readonly blockType: string;
  /** Limit of the process that it needs. */
  readonly memoryMb: number;
  readonly take: (process: BlockProcess) => void;
  readonly fail: (error: unknown) => void;
}

/** Has the processes of a pool: starts one when a block needs it, lends each to one block at a time, and ends those that nobody can use. */
export class ProcessLender {
  readonly #processes = new Set<BlockProcess>();
  readonly #idle: BlockProcess[] = [];
  readonly #queue: Waiting[] = [];
  #closing: Promise<void> | undefined;
  #started = 0;
  /** CPU time of processes that have ended. */
  #endedCpuMs = 0;
  readonly #exits = new Map<ExitReason, number>();

  constructor(private readonly options: BlockProcessPoolOptions) {}

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** What the processes do and use now, and have so far. */
  stats(): LenderStats {
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
      rssBytes: usages.reduce((sum, usage) => sum + usage.rssBytes, 0),
      cpuMs: usages.reduce((sum, usage) => sum + usage.cpuMs, this.#endedCpuMs),
      exits: this.#exits,
    };
  }

  /** Process ids of the children that live. */
  pids(): number[] {
    return [...this.#processes].flatMap((process) => (process.pid === undefined ? [] : [process.pid]));
  }

  /** Ends all processes, those that are lent included; what waits or comes later fails with BLW_BLOCK_CRASHED. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const { blockType, fail } of this.#queue.splice(0)) fail(closedFailure(blockType));
    await Promise.all([...this.#processes].map((process) => process.close(CLOSE_GRACE_MS, 'stopped')));
  }

  /** Waits in line for a process; gives up when the step does. */
  async acquire(blockType: string, context: BlockContext): Promise<BlockProcess> {
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
      const waiting: Waiting = { blockType, memoryMb: this.memoryOf(step), take, fail };
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

  /** Of a tenant that may have less than the worker gives, what the policy says. In MiB. */
  memoryOf({ memoryMb }: StepIdentity): number {
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

  /** Takes a process back; one that holds much memory is ended. */
  release(process: BlockProcess): void {
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
