import { writeSync } from 'node:fs';
import { LogQueue, type Write } from './log-queue';

/** Lines that wait for a slow reader have so many bytes at most; then the oldest are lost. */
const MAX_WAITING_BYTES = 1_048_576;
const TRY_EVERY_MS = 50;

/** Pause between two writes: each wakes up the reader, for whom the main thread waited 0.25 ms a step on a full machine (CPU profile). */
const PAUSE_BETWEEN_MS = 20;

/** Lines wait for their write until there are so many bytes of them. */
const MAX_HELD_BYTES = 16_384;

/** A process that ends waits so long for its reader. */
const LAST_WORDS_MS = 500;
const PAUSE_MS = 10;

/** Where lines of the log go. */
export interface LogSink {
  /** Never throws and never waits: what cannot be written now is kept for a while, or lost, and counted. */
  write(line: string): void;
  /** Writes at once what is there, where it can be written. */
  flush(): void;
}

/**
 * Writes with `write`, as `fs.writeSync` does; to standard output by default. Lines are written in order: one that comes after a pause at once, those
 * that come within 20 ms of a write together. Where the reader of a pipe is slow, or stands
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
  let sentAt = Number.NEGATIVE_INFINITY;
  let isFull = false;
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
  const sendIn = (ms: number): void => {
    if (timer === undefined) process.on('exit', lastWords);
    clearTimeout(timer);
    timer = setTimeout(send, ms).unref();
  };
  const send = (): void => {
    isFull = !queue.drain();
    sentAt = performance.now();
    tellLoss();
    if (isFull) {
      sendIn(TRY_EVERY_MS);
      return;
    }
    if (timer === undefined) return;
    process.off('exit', lastWords);
    clearTimeout(timer);
    timer = undefined;
  };
  const flush = (): void => {
    if (!isFull) send();
  };
  return {
    write(line) {
      queue.add(line);
      if (isFull) return tellLoss();
      if (queue.bytes >= MAX_HELD_BYTES) return flush();
      if (timer !== undefined) return;
      const left = sentAt + PAUSE_BETWEEN_MS - performance.now();
      if (left > 0) sendIn(left);
      else send();
    },
    flush,
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
