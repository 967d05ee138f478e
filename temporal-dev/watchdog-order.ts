/** What the watchdog is told, as JSON in its only argument. */
export interface WatchdogOrder {
  readonly command: string;
  readonly args: readonly string[];
  /** Folder to remove at the very end, also where the parent was killed. */
  readonly removeAtEnd: string;
  /** How long the server has to end by itself after SIGTERM, when the parent asks for a stop. */
  readonly stopGraceMs: number;
  /** The same, when the parent is gone. */
  readonly orphanGraceMs: number;
}

/** What the watchdog says, one JSON object a line, on its standard output. */
export type WatchdogReport =
  | { readonly event: 'started'; readonly pid: number }
  | { readonly event: 'failed'; readonly why: string }
  | { readonly event: 'exited'; readonly how: string };

/** What the parent writes to the watchdog's standard input; the end of the input without it means that the parent died. */
export const STOP_COMMAND = 'stop';
