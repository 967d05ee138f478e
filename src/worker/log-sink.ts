import { writeSync } from 'node:fs';

/** A full pipe is waited for so long, then the line is lost: a reader that stands still must not stop the worker. */
const FULL_PIPE_MS = 500;
const PAUSE_MS = 10;

/** Where lines of the log go. */
export interface LogSink {
  /** Never throws: a line that cannot be written is lost, and counted. */
  write(line: string): void;
}

/**
 * Writes to a file descriptor, 1 for standard output. Where that fails, as on a full disk, the worker goes on; the first line that can
 * be written again is preceded by `describeLoss`, which says how many were lost.
 */
export function openLogSink(describeLoss: (lines: number) => string, descriptor = 1): LogSink {
  let lost = 0;
  const tryToWrite = (text: string): boolean => {
    const left = writeAll(descriptor, Buffer.from(text));
    if (left === 0) return true;
    lost += 1;
    return false;
  };
  return {
    write(line) {
      if (lost === 0) {
        tryToWrite(line);
        return;
      }
      const before = lost;
      if (!tryToWrite(describeLoss(before))) return;
      lost = 0;
      tryToWrite(line);
    },
  };
}

/** Bytes that could not be written. */
function writeAll(descriptor: number, bytes: Buffer): number {
  const until = Date.now() + FULL_PIPE_MS;
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || Date.now() >= until) break;
      // Synchronous, as the write is: lines stay in order, and a slow reader slows the log down.
      Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
    }
  }
  return bytes.length - done;
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
