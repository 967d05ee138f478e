/** What a script may use; all of it is enforced from outside of the script. */
export interface ScriptLimits {
  /** CPU time of the process, from the job on. */
  readonly cpuMs: number;
  /** Memory that the script's engine can have at all, MiB. */
  readonly memoryMb: number;
  readonly maxResultBytes: number;
  /** Of standard output, and of standard error. */
  readonly maxStreamBytes: number;
}

/** One script to run. `input` is JSON text: only the script's engine reads it. */
export type ScriptJob = { readonly code: string; readonly limits: ScriptLimits } & (
  | { readonly kind: 'function'; readonly input: string }
  | {
      readonly kind: 'process';
      readonly arguments: readonly string[];
      readonly environment: Readonly<Record<string, string>>;
      readonly stdin: string;
    }
);

/** What a script wrote; whole where it ended well, the end of it where it failed. */
export interface ScriptStreams {
  readonly stdout: string;
  readonly stderr: string;
}

/** Something that the script threw. */
export interface ScriptError {
  readonly name: string;
  readonly message: string;
  /** Of the script, from 1; absent where its engine does not say. */
  readonly line?: number;
}

/** How a script ended, as its process tells it. What is read of it is untrusted (script-answer.ts). */
export type ScriptEnd =
  /** `value` is JSON text. */
  | { readonly kind: 'returned'; readonly value: string }
  /** `error`: what the code 1 is for. */
  | ({ readonly kind: 'exited'; readonly code: number; readonly error?: ScriptError } & ScriptStreams)
  | ({ readonly kind: 'threw'; readonly error: ScriptError } & ScriptStreams)
  | { readonly kind: 'syntax'; readonly error: ScriptError }
  /** `unsettled`: what it awaits cannot come any more. */
  | ({ readonly kind: 'unsettled' | 'memory' | 'cpu' } & Partial<ScriptStreams>)
  | ({ readonly kind: 'output'; readonly of: 'result' | 'stdout' | 'stderr' } & Partial<ScriptStreams>);

/** What a child writes to its standard output, in one line. */
export interface ScriptAnswer {
  readonly end: ScriptEnd;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
}

/** What is told of an error and of what was printed before it; the child keeps to it, and the worker sees to it. */
export const MOST_TOLD = { nameCharacters: 100, messageCharacters: 1_000, tailCharacters: 2_000 };

/** The end of what a script printed. */
export function tailOf(text: string): string {
  return text.slice(-MOST_TOLD.tailCharacters);
}

/** The line that a child writes once it can take its job. */
export const READY_LINE = 'ready';
