import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { STOP_COMMAND, type WatchdogOrder, type WatchdogReport } from './watchdog-order';

const STOP_GRACE_MS = 5_000;
const ORPHAN_GRACE_MS = 1_000;
/** What the watchdog itself may need, on top of the server's grace, before it counts as stuck. */
const WATCHDOG_SLACK_MS = 3_000;

/** What to run, and what to leave behind. */
export interface GuardedProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Output is appended here. */
  readonly logFile: string;
  /** Removed once the process has ended and this one has let go of it, or died. */
  readonly removeAtEnd: string;
}

/** A process that does not survive this one, however this one ends. It does not keep this one alive either. */
export interface GuardedProcess {
  readonly pid: number;
  /** Resolves with `exit code 1` or `signal SIGKILL` when the process has ended, whoever ended it. Never rejects. */
  readonly exited: Promise<string>;
  /** SIGTERM, SIGKILL after 5 s; resolves when the process has ended and its folder is gone. May be called again. */
  stop(): Promise<void>;
}

/** Starts a process under a watchdog (see watchdog.ts). Throws an Error where it cannot be started. */
export async function startGuarded(options: GuardedProcessOptions): Promise<GuardedProcess> {
  const { removeAtEnd } = options;
  const watchdog = await spawnWatchdog(options);
  const { started, exited } = readReports(watchdog);
  try {
    const pid = await started;
    letGoOfEventLoop(watchdog);
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> => {
      stopping ??= stopWatchdog(watchdog, { pid, removeAtEnd });
      return stopping;
    };
    return { pid, exited, stop };
  } catch (error) {
    await stopWatchdog(watchdog, { pid: undefined, removeAtEnd });
    throw error;
  }
}

async function spawnWatchdog(options: GuardedProcessOptions): Promise<ChildProcess> {
  const { command, args, env, logFile, removeAtEnd } = options;
  const graces = { stopGraceMs: STOP_GRACE_MS, orphanGraceMs: ORPHAN_GRACE_MS };
  const order: WatchdogOrder = { command, args, removeAtEnd, ...graces };
  const log = await open(logFile, 'a');
  try {
    const watchdog = spawn(process.execPath, [watchdogFile(), JSON.stringify(order)], {
      // Not our --inspect, --require and the like.
      env: { ...env, NODE_OPTIONS: '' },
      stdio: ['pipe', 'pipe', log.fd],
      detached: true,
      windowsHide: true,
    });
    // A broken pipe says that the watchdog is gone, which its exit says too.
    watchdog.stdin?.on('error', () => undefined);
    return watchdog;
  } finally {
    await log.close();
  }
}

function letGoOfEventLoop(watchdog: ChildProcess): void {
  watchdog.unref();
  for (const pipe of [watchdog.stdin, watchdog.stdout]) if (pipe instanceof Socket) pipe.unref();
}

/** The compiled watchdog, also where this file runs uncompiled, under jest. */
function watchdogFile(): string {
  const candidates = [join(__dirname, 'watchdog.js'), join(__dirname, '..', 'dist', 'temporal-dev', 'watchdog.js')];
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error('dist/temporal-dev/watchdog.js is missing; run `npm run build`');
  return file;
}

function readReports(watchdog: ChildProcess): { started: Promise<number>; exited: Promise<string> } {
  const { promise: exited, resolve: settleExited } = deferred<string>();
  const started = new Promise<number>((resolve, reject) => {
    let orphan: number | undefined;
    const onReport = (report: WatchdogReport): void => {
      if (report.event === 'failed') reject(new Error(report.why));
      if (report.event === 'started') {
        orphan = report.pid;
        resolve(report.pid);
      }
      if (report.event === 'exited') {
        orphan = undefined;
        settleExited(report.how);
      }
    };
    if (watchdog.stdout !== null) {
      createInterface(watchdog.stdout).on('line', (line) => onReport(JSON.parse(line) as WatchdogReport));
    }
    watchdog.once('error', reject);
    watchdog.once('close', (code, signal) => {
      // Nobody guards it any more, so it goes as well.
      if (orphan !== undefined) killQuietly(orphan);
      const how = `its watchdog ended with ${signal ?? `exit code ${code}`}`;
      reject(new Error(how));
      settleExited(how);
    });
  });
  return { started, exited };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let settle: ((value: T) => void) | undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: (value) => settle?.(value) };
}

async function stopWatchdog(
  watchdog: ChildProcess,
  left: { pid: number | undefined; removeAtEnd: string },
): Promise<void> {
  const hasEnded = watchdog.pid === undefined || watchdog.exitCode !== null || watchdog.signalCode !== null;
  if (!hasEnded) {
    const ended = once(watchdog, 'exit');
    watchdog.ref();
    watchdog.stdin?.end(`${STOP_COMMAND}\n`);
    const stuck = setTimeout(() => {
      if (left.pid !== undefined) killQuietly(left.pid);
      watchdog.kill('SIGKILL');
    }, STOP_GRACE_MS + WATCHDOG_SLACK_MS);
    await ended;
    clearTimeout(stuck);
  }
  // The watchdog's own task, unless it was killed.
  await rm(left.removeAtEnd, { recursive: true, force: true });
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
