import { randomUUID } from 'node:crypto';
import { linkSync, lstatSync, unlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { retryable } from '../block-failure';
import { damaged, errorCode, hasCode } from './blob-io';

/** Longest wait for another process. What happens under the lock takes well under a millisecond. */
const MAX_WAIT_MS = 10_000;

/** Excludes all other writers of a store, in this process and in others. */
export interface StoreLock {
  /**
   * Runs `work` alone. Waits for its turn; an abort ends the wait with the signal's reason, never `work` itself.
   *
   * @throws BLW_FS_IO, retryable, where another process keeps the lock for 10 s
   */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Gives the file back. Nothing runs afterwards. */
  close(): void;
}

/**
 * Opens a store's lock.
 *
 * Within the process turns are first come, first served. Between processes the lock is a write transaction on an empty
 * SQLite database: Node has no flock, SQLite has the lock of the operating system (fcntl, LockFileEx). The system frees
 * it when its holder ends in whatever way, so it cannot go stale, and a holder that was suspended still has it when it
 * goes on; a lock file has neither property. Nothing is ever written into the database, so a turn costs about 10 µs.
 * It holds between processes of one machine and, on network file systems, where these carry fcntl locks (NFSv4 does).
 */
export function openStoreLock(file: string): StoreLock {
  createLockFile(file);
  const database = new Database(file, { timeout: 0 });
  const turns = new Turns();
  return {
    async run(work, signal) {
      await turns.take(signal);
      try {
        await begin(database, signal);
        try {
          return await work();
        } finally {
          // Nothing was written; and unlike COMMIT it never has to wait for the readers of the database.
          database.exec('ROLLBACK');
        }
      } finally {
        turns.pass();
      }
    },
    close: () => {
      database.close();
    },
  };
}

/**
 * Makes the file where there is none: a database that is complete, empty but not of zero bytes, under its name at once.
 * On one of zero bytes the first transaction would write its header, for which all other processes would have to let go.
 * An existing file is looked at and not opened: POSIX drops all locks of a process on a file when the process closes any
 * handle of it.
 */
function createLockFile(file: string): void {
  const draft = `${file}.${randomUUID()}`;
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined) {
    writeFileSync(draft, emptyDatabase(), { flag: 'wx', mode: 0o600 });
    try {
      linkSync(draft, file);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  if (!lstatSync(file).isFile()) throw damaged('Lock of the blob store', 'it is not a plain file');
}

function emptyDatabase(): Buffer {
  const database = new Database(':memory:');
  try {
    database.pragma('user_version = 1');
    return database.serialize();
  } finally {
    database.close();
  }
}

async function begin(database: Database.Database, signal: AbortSignal | undefined): Promise<void> {
  const giveUpAt = performance.now() + MAX_WAIT_MS;
  while (!tryBegin(database)) {
    if (performance.now() > giveUpAt) {
      throw retryable(
        'BLW_FS_IO',
        `Blob store: another process has kept its lock for ${MAX_WAIT_MS} ms; expected less than one. Look for a stopped worker on the same blob root; the step is retried.`,
      );
    }
    // The lock of the operating system cannot be awaited: ask again, at uneven times so that no process is always late.
    await delay(1 + Math.random() * 4);
    signal?.throwIfAborted();
  }
}

function tryBegin(database: Database.Database): boolean {
  try {
    database.exec('BEGIN IMMEDIATE');
    return true;
  } catch (error) {
    // By its code, not by its class: the native part keeps the first class it was given, also for later copies of the module.
    const code = errorCode(error) ?? '';
    if (code.startsWith('SQLITE_BUSY')) return false;
    if (!code.startsWith('SQLITE_')) throw error;
    throw retryable(
      'BLW_FS_IO',
      `Blob store: its lock failed with ${code}. Look at the disk of the blob store: space, permissions, health; the step is retried.`,
    );
  }
}

/** First come, first served. */
class Turns {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  async take(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const proceed = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(proceed), 1);
        reject(signal?.reason);
      };
      this.#waiting.push(proceed);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next();
  }
}
