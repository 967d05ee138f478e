import { type ChildProcess, fork } from 'node:child_process';
import type { Json } from '../../dsl/json';
import type { SpanRecord } from '../../dsl/trace';
import type { FreshUntil } from '../fence';
import type { PortCall, PortObserver } from '../port-observer';
import type { BlobSpace } from '../ports/blob-space';
import type { StepUsage } from '../step-meter';
import { type ExitReason, isMemoryLikely } from './exit-reason';
import { ParentSpace } from './parent-space';
import { readProcessUsage } from './process-usage';
import {
  type ChildInit,
  type ChildMessage,
  type ChildUsage,
  encodeFailure,
  type FailureData,
  type JobRequest,
  type ParentMessage,
} from './protocol';

/** How children are started. */
export interface BlockProcessOptions {
  /** Path of the compiled child-main.js. */
  readonly entry: string;
  /** Limit of V8's heap; the process as a whole may hold NATIVE_MEMORY_MB more. */
  readonly maxMemoryMb: number;
  readonly init: ChildInit;
  /** The account of blobs that children ask. */
  readonly space: BlobSpace;
  /** Told what blocks do with their ports; absent: nobody wants to know, and children keep no record. */
  readonly observe?: PortObserver | undefined;
}

/** How a process ended. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to its standard error. */
  readonly stderr: string;
}

/** What a job that ended used and did. */
interface JobTraces {
  readonly used: StepUsage;
  readonly spans?: readonly SpanRecord[] | undefined;
}

/** How a job ended; `lost`: the process ended before the job did. */
export type JobOutcome =
  | ({ readonly kind: 'result'; readonly output: Json } & JobTraces)
  | ({ readonly kind: 'failure'; readonly failure: FailureData } & JobTraces)
  | { readonly kind: 'lost'; readonly wasStarted: boolean; readonly exit: ProcessExit };

/** What a process holds beside V8's heap: Node itself, SQLite's caches, buffers; after some thousand queries 90 MiB in all. */
const NATIVE_MEMORY_MB = 160;

/** All the memory that one process may hold. */
export function maxRssBytes({ maxMemoryMb }: { readonly maxMemoryMb: number }): number {
  return (maxMemoryMb + NATIVE_MEMORY_MB) * 1024 * 1024;
}

/** A child that does not acknowledge a cancellation is inside of a native call and will not stop by itself. */
const CANCEL_ACK_MS = 250;

/** How long a block may clean up after a cancellation. */
const CANCEL_GRACE_MS = 1_000;

const STDERR_CHARACTERS = 8_192;

/**
 * All that children see of the environment: certificates, temporary folder, time zone, and what Windows cannot do without.
 * Whatever else is in there, secrets above all, is none of a block's business.
 */
const PASSED_ENVIRONMENT = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'TMPDIR',
  'TZ',
  'SystemRoot',
  'TEMP',
];

/** What a running job asks of its parent. */
export interface JobParent {
  heartbeat(details: Json): void;
  /** Until when the attempt is current; throws where it is not. */
  confirm(): Promise<FreshUntil>;
}

interface CurrentJob {
  readonly id: number;
  readonly parent: JobParent;
  readonly settle: (outcome: JobOutcome) => void;
  wasStarted: boolean;
}

/** One child process; runs one job at a time. */
export class BlockProcess {
  /** Resolves once the process is gone and all it sent has arrived. */
  readonly exited: Promise<ProcessExit>;
  usage: ChildUsage = { rssBytes: 0, cpuMs: 0 };
  readonly maxMemoryMb: number;
  readonly #child: ChildProcess;
  readonly #space: ParentSpace;
  #job: CurrentJob | undefined;
  #exit: ProcessExit | undefined;
  #stderr = '';
  #isUsable = true;
  #killTimers: NodeJS.Timeout[] = [];
  /** Why it was told to end, at first. */
  #told: ExitReason | undefined;
  readonly #observe: PortObserver | undefined;

  constructor(options: BlockProcessOptions) {
    const { entry, maxMemoryMb, init, space, observe } = options;
    this.#observe = observe;
    this.#space = new ParentSpace(space, (message) => this.#send(message));
    this.maxMemoryMb = maxMemoryMb;
    this.#child = fork(entry, [], {
      env: passedEnvironment(),
      execArgv: [`--max-old-space-size=${maxMemoryMb}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS);
    });
    this.#child.on('message', (message: ChildMessage) => this.#receive(message));
    this.exited = this.#watchExit();
    this.exited.then(
      (exit) => this.#onExit(exit),
      () => undefined,
    );
    this.#send({ type: 'init', init, maxRssBytes: maxRssBytes(options), isObserved: observe !== undefined });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** False once it has ended, or was told to. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Runs a job to its end. Never rejects. */
  run(job: JobRequest, parent: JobParent): Promise<JobOutcome> {
    return new Promise((settle) => {
      this.#job = { id: job.id, parent, settle, wasStarted: false };
      if (this.#exit === undefined) this.#send({ type: 'run', job });
      else this.#onExit(this.#exit);
    });
  }

  /** Asks the running job to stop, and ends the process where it does not. */
  cancel(): void {
    if (this.#job === undefined) return;
    this.#send({ type: 'cancel', id: this.#job.id });
    this.#killTimers = [CANCEL_ACK_MS, CANCEL_GRACE_MS].map((ms) => setTimeout(() => this.kill('cancelled'), ms));
  }

  /** Ends the process at once. */
  kill(reason: ExitReason): void {
    this.#isUsable = false;
    this.#told ??= reason;
    this.#child.kill('SIGKILL');
  }

  /** Lets the process close what it holds and end; ends it where that takes longer. Resolves when it is gone. */
  async close(graceMs: number, reason: ExitReason): Promise<void> {
    this.#isUsable = false;
    this.#told ??= reason;
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.kill(reason), graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** Why it is gone. */
  exitReason(exit: ProcessExit): ExitReason {
    return this.#told ?? (isMemoryLikely(exit) ? 'memory' : 'crash');
  }

  /** Asks the system what it uses, which it reports itself only with the end of a job. */
  refreshUsage(): void {
    const now = this.pid === undefined ? undefined : readProcessUsage(this.pid);
    if (now !== undefined) this.usage = { ...now, cpuMs: Math.max(now.cpuMs, this.usage.cpuMs) };
  }

  #receive(message: ChildMessage): void {
    if (message.type === 'space') {
      void this.#space.receive(message);
      return;
    }
    if (message.type === 'calls') {
      this.#tell(message.calls);
      return;
    }
    const job = this.#job;
    if (job === undefined || job.id !== message.id) return;
    switch (message.type) {
      case 'started':
        job.wasStarted = true;
        return;
      case 'heartbeat':
        job.parent.heartbeat(message.details);
        return;
      case 'confirm':
        void this.#confirm(job);
        return;
      case 'cancelling':
        clearTimeout(this.#killTimers[0]);
        return;
      case 'result':
        this.usage = message.usage;
        this.#settle({ kind: 'result', output: message.output, used: message.used, spans: message.spans });
        return;
      case 'failure':
        this.usage = message.usage;
        this.#settle({ kind: 'failure', failure: message.failure, used: message.used, spans: message.spans });
    }
  }

  /** Never rejects. */
  async #confirm({ id, parent }: CurrentJob): Promise<void> {
    try {
      this.#send({ type: 'confirmed', id, freshUntil: await parent.confirm() });
    } catch (error) {
      this.#send({ type: 'confirmed', id, failure: encodeFailure(error) });
    }
  }

  #tell(calls: readonly PortCall[]): void {
    for (const call of calls) this.#observe?.(call);
  }

  #onExit(exit: ProcessExit): void {
    this.#exit = exit;
    void this.#space.end();
    this.#settle({ kind: 'lost', wasStarted: this.#job?.wasStarted ?? false, exit });
  }

  #settle(outcome: JobOutcome): void {
    for (const timer of this.#killTimers) clearTimeout(timer);
    this.#killTimers = [];
    const job = this.#job;
    this.#job = undefined;
    job?.settle(outcome);
  }

  #send(message: ParentMessage): void {
    // A process that cannot be reached has ended or is about to, which `exited` tells.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  async #watchExit(): Promise<ProcessExit> {
    const child = this.#child;
    const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
    const ended = new Promise<Omit<ProcessExit, 'stderr'>>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    // `error` alone where the process could not be started; also where a signal or a message could not be sent.
    const failed = new Promise<Error>((resolve) => {
      child.on('error', (error) => {
        if (child.pid === undefined) resolve(error);
      });
    });
    const exit = await Promise.race([Promise.all([ended, disconnected]).then(([first]) => first), failed]);
    this.#isUsable = false;
    return exit instanceof Error
      ? { code: null, signal: null, stderr: exit.message }
      : { ...exit, stderr: this.#stderr };
  }
}

function passedEnvironment(): NodeJS.ProcessEnv {
  const entries = PASSED_ENVIRONMENT.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
