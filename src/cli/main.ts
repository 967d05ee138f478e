import type { Cli } from './cli';
import { reportError } from './command-error';
import { EXIT, type ExitCode } from './exit-codes';
import { createOutput } from './output';
import { runProgram } from './program';

/** How long a process that is done may linger because something it used has not let go. */
const LINGER_MS = 2_000;

const cli: Cli = {
  out: createOutput(process.stdout, { env: process.env, onBroken: () => cli.onReaderGone() }),
  err: createOutput(process.stderr, { env: process.env, onBroken: () => undefined }),
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  onReaderGone: () => process.exit(),
};

async function main(): Promise<void> {
  const exitCode = await runProgram(process.argv.slice(2), cli).catch((error: unknown) => reportError(error, cli.err));
  leave(exitCode);
}

/** Lets the process end by itself, so that no output is lost; ends it where it does not. */
function leave(exitCode: ExitCode): void {
  if (exitCode !== EXIT.done || process.exitCode === undefined) process.exitCode = exitCode;
  setTimeout(() => {
    process.stdout.write('', () => process.stderr.write('', () => process.exit()));
  }, LINGER_MS).unref();
}

/**
 * The Temporal client repeats a call on a timer; where its connection has been closed by then, it throws there, and nobody
 * could catch it. The call is nobody's any more, so it must not change how the command ends.
 */
process.on('uncaughtException', (error) => {
  if (error.message === 'Channel has been shut down') return;
  cli.onDefect?.(error);
  process.stderr.write(`error: unexpected, please report it: ${error.stack ?? error.message}\n`, () =>
    process.exit(EXIT.failed),
  );
});

void main();
