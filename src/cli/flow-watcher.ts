import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, isGrpcServiceError, type WorkflowHandle } from '@temporalio/client';
import type { FlowError } from '../dsl/errors';
import { PROGRESS_QUERY } from '../dsl/names';
import type { FlowProgress } from '../dsl/progress';
import { awaitOutcome, type FlowOutcome } from './flow-outcome';
import { unreadableError } from './unreadable-flow';
import { hasWorker, startWorkerHint } from './worker-presence';

/** Pause between two queries while steps begin and end, and the longest one while nothing happens. */
const BUSY_PAUSE_MS = 200;
const IDLE_PAUSE_MS = 1_000;

/** A query is given up after this; the last one, after the flow has ended, may have to replay a long history. */
const QUERY_TIMEOUT_MS = 3_000;
const LAST_QUERY_TIMEOUT_MS = 10_000;

/** How long nothing answers before it is said. */
const SILENCE_MS = 3_000;
const LONG_SILENCE_MS = 15_000;

/** A flow to be watched. */
export interface WatchedFlow {
  readonly client: Client;
  readonly workflowId: string;
  readonly runId: string;
  readonly taskQueue: string;
}

/** Who wants to know. */
export interface FlowObserver {
  /** Called with every answer of the query in which something changed. */
  onProgress(progress: FlowProgress): void;
  /** Called with every other answer: all is as it was, about once a second. */
  onUnchanged?(): void;
  /** Called with a line about the watching itself, e.g. that no worker answers. */
  onNotice(line: string): void;
  /** Called once where the answers cannot be read here: the outcome may not be either. */
  onUnreadable?(reason: FlowError): void;
}

/**
 * Follows a flow until it ends and returns how. The steps come from the query `progress`, which is best effort: it needs a
 * worker, while the outcome comes from Temporal itself. Rejects with the signal's reason when it is aborted; the flow goes on.
 */
export async function watchFlow(flow: WatchedFlow, observer: FlowObserver, signal: AbortSignal): Promise<FlowOutcome> {
  const { client, workflowId, runId } = flow;
  const handle = client.workflow.getHandle(workflowId, runId);
  // The client adds a listener for every request, one in 20 seconds, and removes none.
  setMaxListeners(0, signal);
  const outcome = client.withAbortSignal(signal, () => awaitOutcome(handle));
  // Whichever run there is: a flow that continues as new has another.
  const current = client.workflow.getHandle(workflowId);
  const poller = new ProgressPoller(flow, current, observer);
  const polling = new AbortController();
  try {
    await poller.pollUntil(outcome, polling.signal);
    const result = await outcome;
    await poller.poll(LAST_QUERY_TIMEOUT_MS);
    return result;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    polling.abort();
  }
}

class ProgressPoller {
  #since = 0;
  #answeredAt = Date.now();
  #hasToldNoWorker = false;
  #hasToldSilence = false;
  #hasToldUnreadable = false;
  #isOver = false;

  constructor(
    private readonly flow: WatchedFlow,
    private readonly handle: WorkflowHandle,
    private readonly observer: FlowObserver,
  ) {}

  async pollUntil(outcome: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const over = outcome.finally(() => {
      this.#isOver = true;
    });
    let pauseMs = BUSY_PAUSE_MS;
    while (!this.#isOver) {
      const hasNews = await Promise.race([this.poll(QUERY_TIMEOUT_MS), over.then(() => false)]);
      if (this.#isOver) return;
      await Promise.race([this.#tellSilence(), over]);
      pauseMs = hasNews ? BUSY_PAUSE_MS : Math.min(pauseMs * 1.3, IDLE_PAUSE_MS);
      await Promise.race([delay(pauseMs, undefined, { signal }), over]);
    }
  }

  /** Asks once; true where something changed. A query that fails is no failure of the flow. */
  async poll(timeoutMs: number): Promise<boolean> {
    let progress: FlowProgress;
    try {
      progress = await this.flow.client.withDeadline(Date.now() + timeoutMs, () =>
        this.handle.query<FlowProgress, [{ since: number }]>(PROGRESS_QUERY, { since: this.#since }),
      );
    } catch (error) {
      this.#tellUnreadable(error);
      return false;
    }
    this.#answeredAt = Date.now();
    if (progress.version === this.#since) {
      this.observer.onUnchanged?.();
      return false;
    }
    this.#since = progress.version;
    this.observer.onProgress(progress);
    return true;
  }

  #tellUnreadable(error: unknown): void {
    const reason = unreadableError(error);
    if (reason === undefined) return;
    // It was an answer.
    this.#answeredAt = Date.now();
    if (this.#hasToldUnreadable || this.#isOver) return;
    this.#hasToldUnreadable = true;
    this.observer.onUnreadable?.(reason);
  }

  async #tellSilence(): Promise<void> {
    const silentMs = Date.now() - this.#answeredAt;
    const { client, taskQueue } = this.flow;
    if (silentMs > SILENCE_MS && !this.#hasToldNoWorker) {
      const isThere = await hasWorker(client, taskQueue).catch((error: unknown) => {
        if (isGrpcServiceError(error)) return true;
        throw error;
      });
      if (!isThere) {
        this.#hasToldNoWorker = true;
        this.observer.onNotice(`no worker polls ${taskQueue} yet; ${startWorkerHint(taskQueue)}`);
      }
    }
    if (silentMs > LONG_SILENCE_MS && !this.#hasToldNoWorker && !this.#hasToldSilence) {
      this.#hasToldSilence = true;
      this.observer.onNotice(`the workers of ${taskQueue} do not answer; they are busy, or have just gone`);
    }
  }
}
