import { Worker } from 'node:worker_threads';
import { IllegalStateError, UnexpectedError } from '@temporalio/worker';
import type { Workflow, WorkflowCreateOptions, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import type { SinkCall } from '@temporalio/workflow';
import { createUnsafeRandomSource } from '@temporalio/workflow/lib/random-helpers';
import { FlowThreadWatch } from './flow-thread-watch';
import {
  type FlowThreadData,
  type ThreadError,
  type ThreadTask,
  type Turn,
  type TurnRequest,
  withoutFunctions,
} from './protocol';

interface Waiting {
  resolve(turn: Turn): void;
  reject(error: Error): void;
}

/** How the thread is looked after ({@link FlowThreadWatch}). */
export interface ThreadCare {
  /** Longest time that code of a flow may run without a wait. */
  readonly limitMs: number;
  /** Told what went wrong with the thread that no flow hears of: it ended, and nobody had asked it to, or could not be interrupted. */
  onError(what: string, error: unknown): void;
}

/**
 * The thread that runs the code of all flows of a worker, in place of the SDK's own: one message there and one back each time a flow goes on, where the
 * SDK sends one to make the flow, one to have it go on and one for what it told others, each of which is answered. And no records of promises
 * (thread-main.ts). The code is run by the SDK, as in its own thread.
 */
export class FlowThread implements WorkflowCreator {
  readonly #thread: Worker;
  readonly #watch: FlowThreadWatch;
  /** By the number of the request, the oldest first. */
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #whyEnded: Error | undefined;
  #isDestroyed = false;

  /** `entry`: file of thread-main. Resolves when flows can begin. Throws UnexpectedError where the thread ends before. */
  static async start(entry: string, data: FlowThreadData, care: ThreadCare): Promise<FlowThread> {
    const flows = new FlowThread(entry, data, care);
    const thread = flows.#thread;
    await new Promise<void>((resolve, reject) => {
      thread.once('message', () => resolve());
      thread.once('exit', () => reject(flows.#whyEnded));
    });
    thread.on('message', (turn: Turn) => flows.#receive(turn));
    thread.on('exit', () => {
      if (!flows.#isDestroyed) care.onError('the thread of the flows has ended', flows.#whyEnded);
    });
    return flows;
  }

  private constructor(entry: string, workerData: FlowThreadData, { limitMs, onError }: ThreadCare) {
    this.#thread = new Worker(entry, { workerData });
    // Is followed by the end.
    this.#thread.on('error', (cause) => this.#end(`the thread of the flows failed: ${cause}`, cause));
    this.#thread.on('exit', () => this.#end('the thread of the flows has ended'));
    this.#watch = new FlowThreadWatch({
      threadId: this.#thread.threadId,
      limitMs,
      isAsked: () => this.#waiting.size > 0,
      giveUp: (why) => this.#giveUp(why),
      onError: (error) => onError('the thread of the flows could not be interrupted', error),
    });
  }

  async createWorkflow(options: WorkflowCreateOptions): Promise<Workflow> {
    return new ThreadedFlow(this, options);
  }

  /**
   * Has a flow go on. Throws UnexpectedError where there is no thread any more, which ends the worker, and what the watch gives up an
   * answer with.
   */
  takeTurn(request: Omit<TurnRequest, 'id'>): Promise<Turn> {
    if (this.#whyEnded !== undefined) return Promise.reject(this.#whyEnded);
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve, reject) => {
      this.#send({ ...request, id });
      this.#waiting.set(id, { resolve, reject });
    });
  }

  dispose(runId: string): void {
    this.#send({ dispose: runId });
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    await this.#thread.terminate();
  }

  #send(task: ThreadTask): void {
    this.#thread.postMessage(task);
  }

  #receive(turn: Turn): void {
    this.#watch.answered();
    this.#waiting.get(turn.id)?.resolve(turn);
    this.#waiting.delete(turn.id);
  }

  #giveUp(why: Error): void {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    const [id, { reject }] = oldest;
    this.#waiting.delete(id);
    reject(why);
  }

  #end(why: string, cause?: unknown): void {
    this.#watch.end();
    this.#whyEnded ??= new UnexpectedError(why, cause);
    for (const { reject } of this.#waiting.values()) reject(this.#whyEnded);
    this.#waiting.clear();
  }
}

/** One run in the thread, which makes it when it goes on for the first time. */
class ThreadedFlow implements Workflow {
  readonly #runId: string;
  #toCreate: WorkflowCreateOptions | undefined;
  #calls: readonly SinkCall[] = [];

  constructor(
    private readonly thread: FlowThread,
    options: WorkflowCreateOptions,
  ) {
    this.#runId = options.info.runId;
    this.#toCreate = { ...options, info: withoutFunctions(options.info) };
  }

  /** Throws what the SDK throws in the thread, too. */
  async activate(activation: TurnRequest['activation']): ReturnType<Workflow['activate']> {
    try {
      return await this.#takeTurn(activation);
    } catch (error) {
      // The SDK forgets it here, and would leave it in the thread.
      await this.dispose();
      throw error;
    }
  }

  async #takeTurn(activation: TurnRequest['activation']): ReturnType<Workflow['activate']> {
    const create = this.#toCreate;
    this.#toCreate = undefined;
    const request = { runId: this.#runId, activation, ...(create === undefined ? {} : { create }) };
    const { completion, error, calls = [] } = await this.thread.takeTurn(request);
    this.#calls = calls;
    if (error !== undefined) throw thrownBy(error);
    return completion;
  }

  async getAndResetSinkCalls(): Promise<SinkCall[]> {
    const calls = this.#calls.map(withFunctions);
    this.#calls = [];
    return calls;
  }

  async dispose(): Promise<void> {
    this.thread.dispose(this.#runId);
  }
}

function withFunctions(call: SinkCall): SinkCall {
  const unsafe = { ...call.workflowInfo.unsafe, now: Date.now, random: createUnsafeRandomSource(Math.random) };
  return { ...call, workflowInfo: { ...call.workflowInfo, unsafe } };
}

function thrownBy({ name, message, stack }: ThreadError): Error {
  const error = name === 'IllegalStateError' ? new IllegalStateError(message) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
