import Sqlite from 'better-sqlite3';
import { sqliteCodeOf } from './sqlite-failure';
import type { SqliteValue } from './sqlite-values';

/** A prepared statement that takes values by position and hands rows out as arrays, with exact integers. */
export type SqliteStatement = Sqlite.Statement<unknown[], SqliteValue[]>;

/** Prepared statements that one connection keeps. */
const CACHED_STATEMENTS = 64;

/** Longest wait for another writer, while opening. */
const OPEN_BUSY_MS = 5_000;

/** Pause between two tries to open. */
const OPEN_PAUSE_MS = 5;

/** A connection with the settings that every step relies on. */
export class SqliteConnection {
  readonly database: Sqlite.Database;
  readonly #statements = new Map<string, SqliteStatement>();

  /** Throws what better-sqlite3 throws; the file's folder must exist. */
  constructor(file: string, { readonly }: { readonly: boolean }) {
    this.database = new Sqlite(file, { readonly, fileMustExist: readonly, timeout: OPEN_BUSY_MS });
    try {
      retryWhileBusy(() => this.#configure(readonly));
    } catch (error) {
      this.database.close();
      throw error;
    }
  }

  #configure(readonly: boolean): void {
    const { database } = this;
    // An SQL function or virtual table that is named by a foreign file's schema runs only where it can do no harm.
    database.pragma('trusted_schema = OFF');
    database.pragma('foreign_keys = ON');
    if (readonly) {
      database.pragma('query_only = ON');
      return;
    }
    // Changing the mode needs the file alone; a file that is in WAL mode already is left in peace.
    if (database.pragma('journal_mode', { simple: true }) !== 'wal') database.pragma('journal_mode = WAL');
    // In WAL mode only FULL has a commit on disk before it is acknowledged (https://sqlite.org/pragma.html#pragma_synchronous).
    database.pragma('synchronous = FULL');
  }

  /** How long a statement waits for another writer. */
  setBusyTimeout(ms: number): void {
    this.database.pragma(`busy_timeout = ${Math.max(0, Math.floor(ms))}`);
  }

  /** Prepares, or takes the statement of an earlier call; SQLite itself prepares anew where the schema has changed. */
  prepare(text: string): SqliteStatement {
    const cached = this.#statements.get(text);
    const statement = cached ?? this.#prepareNew(text);
    this.#statements.delete(text);
    this.#statements.set(text, statement);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > CACHED_STATEMENTS && oldest !== undefined) this.#statements.delete(oldest);
    return statement;
  }

  #prepareNew(text: string): SqliteStatement {
    const statement = this.database.prepare<unknown[], SqliteValue[]>(text).safeIntegers();
    return statement.reader ? statement.raw() : statement;
  }

  close(): void {
    this.#statements.clear();
    this.database.close();
  }
}

/**
 * Tries again while others hold the file. SQLite's own waiting (busy_timeout) does not cover the change to WAL mode, where it
 * would have to raise a lock that it holds: of six processes that open a new file at once, about one in thirty failed.
 */
function retryWhileBusy(work: () => void): void {
  const end = Date.now() + OPEN_BUSY_MS;
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      const isBusy = sqliteCodeOf(error)?.startsWith('SQLITE_BUSY');
      if (isBusy !== true || Date.now() >= end) throw error;
      // Blocks the thread, as every call of this port does.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, OPEN_PAUSE_MS);
    }
  }
}
