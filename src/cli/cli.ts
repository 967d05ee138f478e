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
}

/** A command's file: adds its flags, help and action to the program. The action's result is the exit code. */
export type AddCommand = (program: Command, cli: Cli, action: ActionWrapper) => void;

/** Turns a function of a command into commander's action. */
export type ActionWrapper = <A extends unknown[]>(
  run: (...args: A) => Promise<ExitCode>,
) => (...args: A) => Promise<void>;
