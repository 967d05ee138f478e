import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DiskFaults } from './disk-faults';

const ROOT = process.env.BEAMLINE_ROOT ?? process.cwd();
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const START_DEADLINE_MS = 60_000;

/** A worker process, which is started again whenever it ends. */
export class WorkerProcess {
  #child: ChildProcess | undefined;
  #isClosing = false;
  #restarts: Promise<void> = Promise.resolve();
  /** Largest resident set seen, in bytes, of any of its lives. */
  peakRssBytes = 0;
  /** Lives that ended without a signal of ours. */
  readonly crashes: string[] = [];
  /** How its last life ended: `exit code 0`, `SIGKILL`. */
  lastExit = '';
  #isExpectedToEnd = false;
  #isStopped = false;
  /** Rises with each life, and whenever one was stopped and resumed. */
  #undisturbed = 0;
  #metricsUrl: string | undefined;
  readonly #clockFile: string;

  constructor(
    readonly name: string,
    private readonly options: {
      readonly flags: readonly string[];
      readonly folder: string;
      readonly fakesTime: boolean;
      /** What makes its disk fail when it is told to, if that can be had here. */
      readonly diskFaults: DiskFaults | undefined;
    },
  ) {
    this.#clockFile = join(options.folder, `${name}.clock`);
    writeFileSync(this.#clockFile, '+0s');
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  /** Where its metrics are, once it has said so. */
  get metricsUrl(): string | undefined {
    return this.pid === undefined ? undefined : this.#metricsUrl;
  }

  /** Another number whenever it was not running all the while; undefined while it is stopped, ended or asked to end. */
  get undisturbed(): number | undefined {
    return this.pid === undefined || this.#isStopped || this.#isExpectedToEnd ? undefined : this.#undisturbed;
  }

  async start(): Promise<void> {
    const { flags, folder, fakesTime, diskFaults } = this.options;
    const log = openSync(join(folder, `${this.name}.log`), 'a');
    const clock = {
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    const preloaded = [fakesTime ? FAKETIME : undefined, diskFaults?.environment.LD_PRELOAD].filter(
      (library) => library !== undefined,
    );
    const child = spawn(process.execPath, [join(ROOT, 'bin', 'beamline.js'), 'worker', ...flags], {
      stdio: ['ignore', 'pipe', log],
      env: {
        ...process.env,
        ...(fakesTime ? clock : {}),
        ...diskFaults?.environment,
        ...(preloaded.length === 0 ? {} : { LD_PRELOAD: preloaded.join(':') }),
      },
    });
    this.#child = child;
    this.#isExpectedToEnd = false;
    this.#isStopped = false;
    this.#undisturbed += 1;
    this.#metricsUrl = undefined;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.#metricsUrl ??= /"url":"(http:[^"]+)"/.exec(chunk.toString())?.[1];
    });
    child.once('exit', (code, signal) => {
      this.lastExit = signal ?? `exit code ${code}`;
      if (!this.#isExpectedToEnd) this.crashes.push(`${this.name} ended by itself: ${this.lastExit}`);
      if (!this.#isClosing)
        this.#restarts = this.#restarts
          .then(() => this.start())
          .catch((error: Error) => void this.crashes.push(error.message));
    });
    await untilStarted(child, log);
  }

  /** The moment when its next life polls, if it is between two. */
  async settled(): Promise<void> {
    await this.#restarts;
  }

  /** The clock of the process goes off by so much; only where time can be faked. */
  shiftClock(seconds: number): void {
    writeFileSync(this.#clockFile, `${seconds < 0 ? '' : '+'}${seconds}s`);
  }

  signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): void {
    if (signal === 'SIGKILL' || signal === 'SIGTERM') this.#isExpectedToEnd = true;
    this.#isStopped = signal === 'SIGSTOP';
    this.#undisturbed += 1;
    this.#child?.kill(signal);
  }

  /** Resolves when the present life has ended. */
  async ended(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await once(child, 'exit');
  }

  measure(): void {
    const { pid } = this;
    if (pid === undefined) return;
    try {
      const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      this.peakRssBytes = Math.max(this.peakRssBytes, Number(kilobytes) * 1_024);
    } catch {
      // It has just ended.
    }
  }

  async stop(): Promise<void> {
    this.#isClosing = true;
    await this.#restarts;
    this.signal('SIGCONT');
    this.signal('SIGKILL');
    await this.ended();
  }
}

export const CAN_FAKE_TIME = isReadable(FAKETIME);

function isReadable(file: string): boolean {
  try {
    readFileSync(file);
    return true;
  } catch {
    return false;
  }
}

async function untilStarted(child: ChildProcess, log: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('a worker did not start in time')), START_DEADLINE_MS);
    const settle = (): void => {
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on('data', (chunk: Buffer) => {
      writeFileSync(log, chunk);
      if (chunk.includes('worker started')) settle();
    });
    // Whoever ended it has it started again.
    child.once('exit', settle);
  });
}

/** The process, of those given, that a TCP connection from a loopback port belongs to. */
export function ownerOfPort(port: number, pids: readonly number[]): number | undefined {
  const inode = inodeOfPort(port);
  if (inode === undefined) return undefined;
  return pids.find((pid) => descriptorsOf(pid).includes(`socket:[${inode}]`));
}

function inodeOfPort(port: number): string | undefined {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(local) === true) return fields[9];
  }
  return undefined;
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${name}`);
      } catch {
        return '';
      }
    });
  } catch {
    return [];
  }
}
