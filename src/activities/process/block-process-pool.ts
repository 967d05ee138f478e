import type { Json, JsonObject } from '../../dsl/json';
import { isRepeatable } from '../../dsl/repeatable';
import type { BlockContext, StepIdentity } from '../block';
import { outcomeUnknown } from '../outcome-unknown';
import { StepMeter, type StepUsage } from '../step-meter';
import { SpanRecorder } from '../tracing/span-recorder';
import { atDeadline } from './at-deadline';
import type { JobOutcome } from './block-process';
import { closedFailure, crashFailure, deadlineFailure } from './process-failures';
import { type BlockProcessPoolOptions, type LenderStats, ProcessLender } from './process-lender';
import { decodeFailure, type JobRequest } from './protocol';

/** What a pool is doing. */
export interface BlockProcessPoolStats extends LenderStats {
  /** Processes that ended under a block, of their own or because the block did not stop. */
  readonly lost: number;
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

/**
 * How much longer than its deadline a process lives. SQLite begins no COMMIT after the deadline; the result of one that it
 * began just before still gets here, where it would otherwise be taken for undone and run twice.
 */
const RESULT_GRACE_MS = 100;

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

class ProcessPool implements BlockProcessPool {
  readonly #lender: ProcessLender;
  #jobs = 0;
  #lost = 0;

  constructor(options: BlockProcessPoolOptions) {
    this.#lender = new ProcessLender(options);
  }

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
    return { ...this.#lender.stats(), lost: this.#lost };
  }

  pids(): number[] {
    return this.#lender.pids();
  }

  close(): Promise<void> {
    return this.#lender.close();
  }

  async #runOnce(job: JobRequest, context: BlockContext): Promise<Run> {
    const process = await this.#lender.acquire(job.blockType, context);
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
      this.#lender.release(process);
    }
  }

  #unwrap({ outcome, stopped }: Run, { blockType, args }: JobRequest, { signal, step }: BlockContext): Json {
    // What was done was done: a result counts even where it crossed with a cancellation.
    if (outcome.kind === 'result') return outcome.output;
    if (outcome.kind === 'lost') this.#lost += 1;
    if (stopped === 'cancelled') throw signal.reason;
    if (outcome.kind === 'failure' && stopped === undefined && !this.#lender.isClosing) {
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
    if (this.#lender.isClosing || outcome.kind !== 'lost') return closedFailure(blockType);
    return crashFailure(blockType, outcome.exit, {
      memoryMb: this.#lender.memoryOf(step),
      isTenants: step.memoryMb !== undefined,
    });
  }
}

/** A process that ended under a job took along what it used; it can have computed all the time, and no more than that. */
function usedIn({ outcome, lastedMs }: Run): StepUsage {
  if (outcome.kind !== 'lost') return outcome.used;
  return { cpuMs: outcome.wasStarted ? lastedMs : 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 };
}
