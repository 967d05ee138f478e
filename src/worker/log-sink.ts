import { writeSync } from 'node:fs';

/** A full pipe is waited for so long, then lines are lost, until it has room: a reader that stands still must not stop the worker. */
const FULL_PIPE_MS = 500;
const PAUSE_MS = 10;

/** Writes bytes from an offset on; gives how many it has written. Throws errors of the system. */
type Write = (bytes: Buffer, offset: number) => number;

const toStandardOutput: Write = (bytes, offset) => writeSync(1, bytes, offset);

/** Where lines of the log go. */
export interface LogSink {
  /** Never throws: a line that cannot be written is lost, and counted. */
  write(line: string): void;
}

/**
 * Writes with `write`, as `fs.writeSync` does; to standard output by default. Where that fails, as on a full disk, the worker goes on; the first line that can
 * be written again is preceded by `describeLoss`, which says how many were lost. `onLoss` is told when it begins and when it ends.
 */
export function openLogSink(
  describeLoss: (lines: number) => string,
  write: Write = toStandardOutput,
  onLoss: (isLosing: boolean) => void = () => undefined,
): LogSink {
  let lost = 0;
  let isInLine = false;
  const tryToWrite = (text: string): boolean => {
    const bytes = Buffer.from(isInLine ? `\n${text}` : text);
    const left = writeAll(write, bytes, lost === 0 ? FULL_PIPE_MS : 0);
    if (left < bytes.length) isInLine = left > 0;
    if (left > 0) lost += 1;
    return left === 0;
  };
  return {
    write(line) {
      if (lost === 0) {
        if (!tryToWrite(line)) onLoss(true);
        return;
      }
      if (!tryToWrite(describeLoss(lost))) return;
      lost = 0;
      onLoss(!tryToWrite(line));
    },
  };
}

/** Bytes that could not be written. */
function writeAll(write: Write, bytes: Buffer, patienceMs: number): number {
  const until = Date.now() + patienceMs;
  let done = 0;
  while (done < bytes.length) {
    try {
      done += write(bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() >= until) break;
      // Synchronous, as the write is: lines stay in order, and a slow reader slows the log down.
      Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
    }
  }
  return bytes.length - done;
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
