import { Worker } from 'node:worker_threads';
import { IllegalStateError, UnexpectedError } from '@temporalio/worker';
import type { Workflow, WorkflowCreateOptions, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import type { SinkCall } from '@temporalio/workflow';
import { createUnsafeRandomSource } from '@temporalio/workflow/lib/random-helpers';
import {
  type FlowThreadData,
  READY,
  type ThreadError,
  type ThreadTask,
  type Turn,
  type TurnRequest,
  withoutFunctions,
} from './protocol';

interface Waiting {
  readonly runId: string;
  resolve(turn: Turn): void;
  reject(error: Error): void;
}

/**
 * The thread that runs the code of all flows of a worker, in place of the SDK's own: one message there and one back each time a flow goes on, where the
 * SDK sends one to make the flow, one to have it go on and one for what it told others, each of which is answered. And no records of promises
 * (thread-main.ts). The code is run by the SDK, as in its own thread.
 */
export class FlowThread implements WorkflowCreator {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #count = 0;
  #whyEnded: Error | undefined;
  #isDestroyed = false;
  readonly #ready: Promise<void>;

  /**
   * `entry`: file of thread-main. Resolves when flows can begin. Throws UnexpectedError where the thread ends before. `onEnd` is told why it
   * ended, where nobody had asked it to.
   */
  static async start(entry: string, data: FlowThreadData, onEnd?: (why: Error) => void): Promise<FlowThread> {
    const thread = new FlowThread(entry, data, onEnd);
    await thread.#ready;
    return thread;
  }

  private constructor(entry: string, workerData: FlowThreadData, onEnd?: (why: Error) => void) {
    this.#thread = new Worker(entry, { workerData });
    this.#ready = new Promise((resolve, reject) => {
      this.#thread.on('message', (message: Turn | typeof READY) => {
        if (message === READY) resolve();
        else this.#receive(message);
      });
      const end = (why: string, cause?: unknown): void => {
        // An error is followed by the end.
        if (this.#whyEnded !== undefined) return;
        const error = new UnexpectedError(why, cause);
        this.#whyEnded = error;
        reject(error);
        this.#rejectAll(error);
        if (!this.#isDestroyed) onEnd?.(error);
      };
      this.#thread.on('error', (cause) => end(`the thread of the flows failed: ${cause}`, cause));
      this.#thread.on('exit', () => end('the thread of the flows has ended'));
    });
  }

  get threadId(): number {
    return this.#thread.threadId;
  }

  async createWorkflow(options: WorkflowCreateOptions): Promise<Workflow> {
    return new ThreadedFlow(this, options);
  }

  /** Has a flow go on. Throws UnexpectedError where there is no thread any more, which ends the worker. */
  takeTurn(request: Omit<TurnRequest, 'id'>): Promise<Turn> {
    if (this.#whyEnded !== undefined) return Promise.reject(this.#whyEnded);
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve, reject) => {
      this.#send({ ...request, id });
      this.#waiting.set(id, { runId: request.runId, resolve, reject });
    });
  }

  /** Forgets a flow, and what is still waited for where it was given up. */
  dispose(runId: string): void {
    this.#send({ dispose: runId });
    for (const [id, waiting] of this.#waiting) if (waiting.runId === runId) this.#waiting.delete(id);
  }

  async destroy(): Promise<void> {
    this.#isDestroyed = true;
    await this.#thread.terminate();
  }

  #send(task: ThreadTask): void {
    this.#thread.postMessage(task);
  }

  #receive(turn: Turn): void {
    const waiting = this.#waiting.get(turn.id);
    this.#waiting.delete(turn.id);
    waiting?.resolve(turn);
  }

  #rejectAll(why: Error): void {
    for (const { reject } of this.#waiting.values()) reject(why);
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
