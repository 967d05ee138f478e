import { writeSync } from 'node:fs';
import { LogQueue, type Write } from './log-queue';

/** Lines that wait for a slow reader have so many bytes at most; then the oldest are lost. */
const MAX_WAITING_BYTES = 1_048_576;
const TRY_EVERY_MS = 50;

/** A process that ends waits so long for its reader. */
const LAST_WORDS_MS = 500;
const PAUSE_MS = 10;

/** Where lines of the log go. */
export interface LogSink {
  /** Never throws and never waits: what cannot be written now is kept for a while, or lost, and counted. */
  write(line: string): void;
}

/**
 * Writes with `write`, as `fs.writeSync` does; to standard output by default. Lines are written at once and in order. Where the reader of a pipe is slow, or stands
 * still, the newest wait in memory, and the worker goes on; what waits at the end of the process is written then, also where that crashes, as far as it gets in half
 * a second. Where nothing can be written, as on a full disk, lines are lost. In their place is what `describeLoss` says of how many; `onLoss` is told when
 * that begins, and when it has been said.
 */
export function openLogSink(
  describeLoss: (lines: number) => string,
  write: Write = standardOutput(),
  onLoss: (isLosing: boolean) => void = () => undefined,
): LogSink {
  const queue = new LogQueue(write, describeLoss, MAX_WAITING_BYTES);
  let timer: NodeJS.Timeout | undefined;
  let isLosing = false;
  const tellLoss = (): void => {
    if (queue.isLosing === isLosing) return;
    isLosing = queue.isLosing;
    onLoss(isLosing);
  };
  const lastWords = (): void => {
    const until = Date.now() + LAST_WORDS_MS;
    while (!queue.drain() && Date.now() < until) Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
  };
  const send = (): void => {
    timer = undefined;
    const isEmpty = queue.drain();
    tellLoss();
    if (isEmpty) {
      process.off('exit', lastWords);
      return;
    }
    timer = setTimeout(send, TRY_EVERY_MS).unref();
  };
  return {
    write(line) {
      queue.add(line);
      if (timer !== undefined) return tellLoss();
      send();
      if (timer !== undefined) process.on('exit', lastWords);
    },
  };
}

/**
 * The standard output, as Node has it once it is asked for: a pipe that is full gives EAGAIN then. As it comes to a process it would stop that
 * for as long as nobody reads.
 */
function standardOutput(): Write {
  const { fd } = process.stdout;
  return (bytes, offset) => writeSync(fd, bytes, offset);
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
