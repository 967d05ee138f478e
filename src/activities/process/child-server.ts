import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Json } from '../../dsl/json';
import type { ScopedPorts } from '../access/scoped-ports';
import { AttemptPorts } from '../attempt-ports';
import type { BlockContext, BlockExecutor } from '../block';
import { notRetryable } from '../block-failure';
import { AttemptFence, CONFIRM_PATIENCE_MS, type FreshUntil, outdated } from '../fence';
import type { PortObserver } from '../port-observer';
import type { BlobSpace } from '../ports/blob-space';
import { Mask } from '../secrets/mask';
import { StepMeter, type StepUsage } from '../step-meter';
import { SpanRecorder } from '../tracing/span-recorder';
import { TooLate, within } from '../within';
import { CallRecord } from './call-record';
import { ChildSpace } from './child-space';
import {
  type ChildInit,
  type ChildMessage,
  type ChildUsage,
  decodeFailure,
  encodeFailure,
  type JobRequest,
  type ParentMessage,
  type WatchdogData,
} from './protocol';

/** What a child process is made of. */
export interface ChildServerOptions {
  readonly findExecutor: (blockType: string) => BlockExecutor | undefined;
  /** Called before the first job; again before the next where it failed. */
  readonly createPorts: (init: ChildInit, space: BlobSpace, observe?: PortObserver) => Promise<ClosablePorts>;
}

/** Ports with what they hold open. */
export interface ClosablePorts {
  readonly ports: Pick<ScopedPorts, 'of'>;
  close(): Promise<void>;
}

/** Heartbeats closer together than this are merged; Temporal's SDK would drop them anyway. */
const HEARTBEAT_INTERVAL_MS = 200;

/** Longer than the parent itself waits for an answer, twice: that it is to stop comes later than the answer. */
const PARENT_PATIENCE_MS = 2 * CONFIRM_PATIENCE_MS + 1_000;

/**
 * Serves the pool's messages until the pool closes or its process is gone. A signal that a terminal or a supervisor sends to
 * the whole group of processes is left to the parent: it finishes its steps, then it closes its children.
 */
export function serveBlocks(options: ChildServerOptions): void {
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  const server = new ChildServer(options);
  process.on('message', (message: ParentMessage) => server.receive(message));
  process.once('disconnect', () => process.exit(0));
}

class ChildServer {
  #init: ChildInit | undefined;
  #ports: ClosablePorts | undefined;
  /** Absent where nobody wants to know. */
  #calls: CallRecord | undefined;
  readonly #space = new ChildSpace(send, () => this.#running?.id ?? 0);
  #running: { readonly id: number; readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  /** Takes the answer to what the running job has asked. */
  #confirmation: ((answer: Extract<ParentMessage, { type: 'confirmed' }>) => void) | undefined;

  constructor(private readonly options: ChildServerOptions) {}

  receive(message: ParentMessage): void {
    switch (message.type) {
      case 'init':
        this.#init = message.init;
        if (message.isObserved) this.#calls = new CallRecord();
        startWatchdog(message.maxRssBytes);
        return;
      case 'run':
        this.#start(message.job);
        return;
      case 'cancel':
        this.#cancel(message.id);
        return;
      case 'space':
        this.#space.receive(message);
        return;
      case 'confirmed':
        if (message.id === this.#running?.id) this.#confirmation?.(message);
        return;
      case 'close':
        this.#close().then(leave, leave);
    }
  }

  #start(job: JobRequest): void {
    const abort = new AbortController();
    const done = this.#run(job, abort.signal).then((message) => {
      this.#running = undefined;
      this.#calls?.flush(job.id, send);
      send(message);
    });
    this.#running = { id: job.id, abort, done };
  }

  async #run(job: JobRequest, signal: AbortSignal): Promise<ChildMessage> {
    const { id, blockType, args, step, deadline, freshUntil } = job;
    send({ type: 'started', id });
    const heartbeats = new HeartbeatSender(id);
    // What the block conceals must not leave this process; the values of secrets are masked by the parent.
    const mask = new Mask();
    const meter = new JobMeter();
    const recorder = step.trace === undefined ? undefined : new SpanRecorder(step.trace);
    const spans = () => (recorder?.isSampled === true ? { spans: recorder.take(mask) } : {});
    try {
      const executor = this.options.findExecutor(blockType);
      if (executor === undefined || this.#init === undefined) {
        throw notRetryable('BLW_BLOCK_UNKNOWN', `block ${blockType}: this worker has no executor for it`);
      }
      this.#ports ??= await this.options.createPorts(this.#init, this.#space.port, this.#calls?.add);
      const ports = new AttemptPorts(this.#ports.ports.of(step.access), meter);
      const heartbeat = (details: Json): void => heartbeats.push(mask.json(details));
      const conceal = (credential: string): void => mask.add(credential);
      const { lastHeartbeat } = job;
      const fence = new AttemptFence(freshUntil, signal, () => this.#askParent(id));
      const context: BlockContext = { step, ports, signal, deadline, fence, heartbeat, lastHeartbeat, conceal };
      const run = () => meter.run(() => executor(args, context));
      const output = mask.json(await (recorder?.run(run) ?? run()));
      return { type: 'result', id, output, usage: usage(), used: meter.used(), ...spans() };
    } catch (error) {
      return {
        type: 'failure',
        id,
        failure: encodeFailure(mask.error(error)),
        usage: usage(),
        used: meter.used(),
        ...spans(),
      };
    } finally {
      heartbeats.stop();
    }
  }

  /** A parent that stands still does not answer. */
  async #askParent(id: number): Promise<FreshUntil> {
    const answer = new Promise<Extract<ParentMessage, { type: 'confirmed' }>>((resolve) => {
      this.#confirmation = resolve;
    });
    send({ type: 'confirm', id });
    try {
      const { freshUntil, failure } = await within(PARENT_PATIENCE_MS, answer);
      if (freshUntil !== undefined) return freshUntil;
      throw failure === undefined ? outdated('its worker did not say until when') : decodeFailure(failure);
    } catch (error) {
      throw error instanceof TooLate ? outdated('its worker does not answer', error) : error;
    }
  }

  #cancel(id: number): void {
    if (this.#running?.id !== id) return;
    send({ type: 'cancelling', id });
    this.#running.abort.abort(notRetryable('BLW_CANCELLED', 'the step was cancelled'));
  }

  async #close(): Promise<void> {
    this.#running?.abort.abort(notRetryable('BLW_CANCELLED', 'the worker stops'));
    await this.#running?.done;
    await this.#ports?.close();
  }
}

/** What one job uses: the process runs no other beside it. */
class JobMeter extends StepMeter {
  readonly #begun = process.cpuUsage();
  readonly #peakBefore = peakBytes();
  readonly #rssBefore = process.memoryUsage.rss();

  used(): StepUsage {
    const { user, system } = process.cpuUsage(this.#begun);
    this.cpuMs = (user + system) / 1_000;
    const peak = peakBytes();
    // The peak is the process's: below it, only what is held before and after is known of this job.
    const rss = Math.max(this.#rssBefore, process.memoryUsage.rss());
    this.peakMemoryBytes = peak > this.#peakBefore ? peak : rss;
    return this.usage();
  }
}

function peakBytes(): number {
  return process.resourceUsage().maxRSS * 1_024;
}

/** Passes the newest of many heartbeats on, at once and then at most every HEARTBEAT_INTERVAL_MS. */
class HeartbeatSender {
  #pending: { readonly details: Json } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly id: number) {}

  push(details: Json): void {
    this.#pending = { details };
    if (this.#timer === undefined) this.#flush();
  }

  /** Sends what is pending: the next attempt begins with it. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending !== undefined) send({ type: 'heartbeat', id: this.id, details: this.#pending.details });
    this.#pending = undefined;
  }

  readonly #flush = (): void => {
    this.#timer = undefined;
    if (this.#pending === undefined) return;
    send({ type: 'heartbeat', id: this.id, details: this.#pending.details });
    this.#pending = undefined;
    this.#timer = setTimeout(this.#flush, HEARTBEAT_INTERVAL_MS);
  };
}

/** A message that cannot be sent has no reader any more: the process ends with `disconnect`. */
function send(message: ChildMessage): void {
  process.send?.(message, undefined, undefined, () => undefined);
}

function usage(): ChildUsage {
  const { user, system } = process.cpuUsage();
  return { rssBytes: process.memoryUsage.rss(), cpuMs: Math.round((user + system) / 1_000) };
}

/** The watchdog works while the main thread is inside a native call, where no message and no timer gets through. */
function startWatchdog(maxRssBytes: number): void {
  const workerData: WatchdogData = { parentPid: process.ppid, maxRssBytes };
  const watchdog = new Worker(join(__dirname, 'child-watchdog.js'), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
  });
  watchdog.unref();
}

function leave(): void {
  process.exit(0);
}
