import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { readPeakBytes, readProcessUsage } from '../process/process-usage';
import type { ChildUsage } from '../process/protocol';
import { READY_LINE, type ScriptJob } from './child/protocol';
import type { SandboxCommand } from './sandbox-command';

/** How a process and its job ended. */
export interface ProcessEnd {
  /** The line that it answered with; absent where it did not. */
  readonly answer?: Buffer;
  /** Of its own, or killed by whom it is not told. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to its standard error, which is none of the script's. */
  readonly stderr: string;
  /** Why it was ended from here; absent: it was not, before it answered. */
  readonly ended?: EndReason;
  /** CPU time of the job, as the system says: 0 where it does not. */
  readonly cpuMs: number;
  /** Of the process; absent where the system does not say. */
  readonly peakMemoryBytes?: number;
}

/** `flood`: it answered with more than a script's process ever has to say; `unready`: it never said that it takes a job. */
export type EndReason = 'cpu' | 'wall' | 'deadline' | 'cancelled' | 'stopped' | 'flood' | 'unready';

/** All that a child may answer: result and streams, of which JSON makes up to six times as much. */
const MAX_ANSWER_BYTES = 32 * 1_048_576;

const STDERR_CHARACTERS = 4_096;

/** How often its CPU time is looked at while it works. */
const WATCH_MS = 100;

/** How long a script waits for its process. Measured: 0.3 s, on a machine with much else to do (decision 015). */
const READY_MS = 30_000;

/** How long bubblewrap may take to tell whom it has started, once that is to be ended. */
const PID_MS = 2_000;

/** How long the pipes of a process that has ended may stay open: by one that it has left behind. */
const PIPES_MS = 1_000;

/** A child ends a script that is out of time by itself; it is ended where it does not. */
const CPU_GRACE_MS = 300;

/** A process that runs one script and ends. */
export class ScriptProcess {
  readonly exited: Promise<void>;
  /** Resolves once it waits for its job, or has ended. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  /** Its own, empty, and gone when it ends. */
  readonly #folder = mkdtempSync(join(tmpdir(), 'beamline-script-'));
  #pid: number | undefined;
  #usage: ChildUsage = { cpuMs: 0, rssBytes: 0 };
  #answer: Buffer[] = [];
  #bytes = 0;
  #stderr = '';
  #ended: EndReason | undefined;
  #hasEnded = false;
  #isKilled = false;
  readonly #tellsPid: boolean;
  #code: number | null = null;
  #signal: NodeJS.Signals | null = null;
  #onLine: (() => void) | undefined;
  #onReady: (() => void) | undefined;
  #isReady = false;
  #untold: NodeJS.Timeout | undefined;
  #pipes: NodeJS.Timeout | undefined;

  constructor(
    command: SandboxCommand,
    readonly memoryMb: number,
    private readonly readyMs = READY_MS,
  ) {
    this.#tellsPid = command.tellsPid;
    this.#child = spawn(command.file, command.args, {
      cwd: this.#folder,
      env: {},
      stdio: ['pipe', 'pipe', 'pipe', ...(command.tellsPid ? (['pipe'] as const) : [])],
    });
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    this.exited = this.#watchExit();
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#receive(bytes));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS);
    });
    if (command.tellsPid) this.#readPid(this.#child.stdio[3] as Readable);
    else this.#pid = this.#child.pid;
  }

  /** Of the process that runs the script, as the system around it numbers it; absent while that is not known. */
  get pid(): number | undefined {
    return this.#hasEnded ? undefined : this.#pid;
  }

  /** What it uses now; of one that has ended what was seen last. */
  usage(): ChildUsage {
    const now = this.pid === undefined ? undefined : readProcessUsage(this.pid);
    this.#usage = { cpuMs: Math.max(this.#usage.cpuMs, now?.cpuMs ?? 0), rssBytes: now?.rssBytes ?? 0 };
    return this.#usage;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Runs its one job: resolves when it has answered or ended, and it has ended soon after. Never rejects. */
  async run(job: ScriptJob, wallMs: number): Promise<ProcessEnd> {
    const ready = setTimeout(() => this.end('unready'), this.readyMs);
    await this.ready;
    clearTimeout(ready);
    const usedBefore = this.usage().cpuMs;
    const answered = new Promise<void>((resolve) => {
      this.#onLine = resolve;
    });
    const wall = setTimeout(() => this.end('wall'), wallMs);
    const watch = setInterval(() => {
      if (this.usage().cpuMs - usedBefore > job.limits.cpuMs + CPU_GRACE_MS) this.end('cpu');
    }, WATCH_MS);
    this.#child.stdin?.write(`${JSON.stringify(job)}\n`);
    await Promise.race([answered, this.exited]);
    clearTimeout(wall);
    clearInterval(watch);
    const measured = this.#measure(usedBefore);
    const hasAnswered = this.#ended === undefined && this.#hasAnswer();
    this.#kill();
    // What it has to say about why it ended comes with its end.
    if (!hasAnswered) await this.exited;
    return {
      ...(hasAnswered ? { answer: Buffer.concat(this.#answer) } : {}),
      code: this.#code,
      signal: this.#signal,
      stderr: this.#stderr,
      ...(this.#ended === undefined ? {} : { ended: this.#ended }),
      ...measured,
    };
  }

  /** Ends it at once, whatever it is doing. */
  end(reason: EndReason): void {
    this.#ended ??= reason;
    this.#kill();
  }

  #kill(): void {
    this.#isKilled = true;
    // Bubblewrap that is killed before it has told its child to go on leaves that waiting for ever, and our pipes with it.
    if (this.#pid === undefined && this.#tellsPid) {
      this.#untold ??= setTimeout(() => this.#killUntold(), PID_MS);
      return;
    }
    // Its end is the end of what it runs, but only soon after it.
    if (this.pid !== undefined && this.pid !== this.#child.pid) tryKill(this.pid);
    this.#child.kill('SIGKILL');
  }

  /** Bubblewrap hangs: it is ended with whom the system says it has started. */
  #killUntold(): void {
    const { pid } = this.#child;
    if (this.#hasEnded || this.#pid !== undefined || pid === undefined) return;
    for (const child of childrenOf(pid)) tryKill(child);
    this.#child.kill('SIGKILL');
  }

  /** One that was left behind may hold them: what has ended ends for us, too. */
  #dropPipes(): void {
    for (const stream of this.#child.stdio) stream?.destroy();
  }

  #receive(bytes: Buffer): void {
    if (!this.#isReady) {
      const end = bytes.indexOf(0x0a);
      this.#isReady = end !== -1 && bytes.subarray(0, end).equals(Buffer.from(READY_LINE));
      this.#onReady?.();
      if (!this.#isReady) this.end('unready');
      if (end + 1 < bytes.length) this.#receive(bytes.subarray(end + 1));
      return;
    }
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_ANSWER_BYTES) {
      this.end('flood');
      return;
    }
    this.#answer.push(bytes);
    if (this.#hasAnswer()) this.#onLine?.();
  }

  #hasAnswer(): boolean {
    return this.#answer.at(-1)?.at(-1) === 0x0a;
  }

  #measure(usedBefore: number): Pick<ProcessEnd, 'cpuMs' | 'peakMemoryBytes'> {
    const cpuMs = Math.max(0, this.usage().cpuMs - usedBefore);
    const peakMemoryBytes = this.pid === undefined ? undefined : readPeakBytes(this.pid);
    return { cpuMs, ...(peakMemoryBytes === undefined ? {} : { peakMemoryBytes }) };
  }

  /** Bubblewrap says whom it has started: `{"child-pid": 4711, …}`. */
  #readPid(stream: Readable): void {
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      if (this.#pid !== undefined) return;
      text += part;
      const pid = /"child-pid":\s*(\d+)/.exec(text)?.[1];
      if (pid === undefined) return;
      this.#pid = Number(pid);
      if (this.#isKilled) this.#kill();
    });
    stream.on('error', () => undefined);
  }

  async #watchExit(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#child.once('exit', () => {
        this.#pipes = setTimeout(() => this.#dropPipes(), PIPES_MS);
      });
      this.#child.once('close', (code, signal) => {
        this.#code = code;
        this.#signal = signal;
        resolve();
      });
      this.#child.once('error', (error) => {
        this.#stderr += error.message;
        if (this.#child.pid !== undefined) return;
        this.#ended ??= 'unready';
        resolve();
      });
    });
    this.#hasEnded = true;
    clearTimeout(this.#untold);
    clearTimeout(this.#pipes);
    this.#onReady?.();
    removeFolder(this.#folder);
  }
}

/** An empty folder that stays behind harms nobody. */
function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // As said.
  }
}

/** Processes that a process has started, as Linux says; none where it does not. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It is gone already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
