import { execFile } from 'node:child_process';

/** How a command ended. */
export interface CommandResult {
  /** Exit code; undefined where the command could not be started, was killed or ran past its deadline. */
  readonly exitCode: number | undefined;
  /** What it wrote, standard output first, then standard error. */
  readonly output: string;
}

/** Settings of {@link runCommand}. */
export interface RunCommandOptions {
  readonly timeoutMs: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs a command without a shell and collects its output. Never throws: a command that does not exist, fails or
 * hangs past `timeoutMs` (then it is killed) is a result like any other.
 */
export function runCommand(
  command: string,
  args: readonly string[],
  options: RunCommandOptions,
): Promise<CommandResult> {
  const { timeoutMs, cwd, env } = options;
  const settings = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL' as const,
    maxBuffer: 16 * 1024 * 1024,
    windowsHide: true,
  };
  return new Promise((resolve) => {
    execFile(command, args, { ...settings, cwd, env: env ?? process.env }, (error, stdout, stderr) => {
      const output = stdout + stderr;
      if (error === null) resolve({ exitCode: 0, output });
      else if (typeof error.code === 'number') resolve({ exitCode: error.code, output });
      else resolve({ exitCode: undefined, output: output || describeFailure(error, timeoutMs) });
    });
  });
}

function describeFailure(error: Error & { killed?: boolean | undefined }, timeoutMs: number): string {
  return error.killed === true ? `killed after ${timeoutMs} ms without an end` : error.message;
}
