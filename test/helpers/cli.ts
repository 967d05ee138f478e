import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

/** The command as users call it: it runs what `npm run build` made. */
const BIN = join(__dirname, '..', '..', 'bin', 'beamline.js');

export interface CliResult {
  /** Exit code; null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** A command that runs. It is killed where the test forgets it: see {@link RunningCli.kill}. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly exited: Promise<CliResult>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves once the output matches; rejects, with the output, where the command ends first or the time is over. */
  waitFor(pattern: RegExp, options?: { stream?: 'stdout' | 'stderr'; timeoutMs?: number }): Promise<void>;
  kill(): void;
}

/** Runs a command to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).exited;
}

/** Starts a command. Settings of whoever runs the tests (TEMPORAL_…, BEAMLINE_…, NO_COLOR) do not reach it. */
export function startCli(args: readonly string[], { stdin = '', env = {}, cwd }: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [BIN, ...args], { cwd, env: { ...ownEnvironment(), ...env } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  // A command that does not read its input may be gone before all of it is written.
  child.stdin.on('error', () => undefined).end(stdin);
  const exited = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...output }));
  });
  return {
    child,
    exited,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    kill: () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    },
    waitFor: (pattern, { stream = 'stdout', timeoutMs = 20_000 } = {}) =>
      new Promise<void>((resolve, reject) => {
        const finish = (end: () => void) => {
          clearTimeout(timer);
          child[stream].off('data', look);
          child.off('close', onClose);
          end();
        };
        const fail = (why: string) =>
          finish(() => reject(new Error(`${why} before ${pattern}:\n${output.stdout}\n${output.stderr}`)));
        const look = () => {
          if (pattern.test(output[stream])) finish(resolve);
        };
        const onClose = () => (pattern.test(output[stream]) ? look() : fail('the command ended'));
        const timer = setTimeout(() => fail(`${timeoutMs} ms went by`), timeoutMs);
        child[stream].on('data', look);
        child.on('close', onClose);
        look();
      }),
  };
}

function ownEnvironment(): NodeJS.ProcessEnv {
  const isForeign = (name: string) => /^(TEMPORAL_|BEAMLINE_(?!CACHE_DIR|TEMPORAL_CLI))|^NO_COLOR$/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)));
}
