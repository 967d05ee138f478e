import type { Command } from 'commander';
import type { ExitCode } from './exit-codes';
import type { TextOutput } from './output';

/** What every command works with. */
export interface Cli {
  /** Standard output: results, what scripts read. */
  readonly out: TextOutput;
  /** Standard error: progress, problems, hints. */
  readonly err: TextOutput;
  readonly stdin: NodeJS.ReadableStream;
  readonly env: NodeJS.ProcessEnv;
  /** Relative paths are taken from here. */
  readonly cwd: string;
  /**
   * Called when nobody reads standard output any more; ends the process quietly. A command that must clean up puts its own
   * in its place.
   */
  onReaderGone: () => void;
  /** Called with an error that nobody caught, before the process ends for it. A command that writes a log puts its own in its place. */
  onDefect?: (error: unknown) => void;
}

/** What a command's file exports: adds description, arguments, flags, examples and action to its command. */
export type AddCommand = (command: Command, cli: Cli, action: ActionWrapper) => void;

/** Turns a function that gives an exit code into commander's action. */
export type ActionWrapper = <A extends unknown[]>(
  run: (...args: A) => Promise<ExitCode>,
) => (...args: A) => Promise<void>;
