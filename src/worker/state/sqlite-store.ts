import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import type { Rule, Statement, StateRow } from './rule';
import { ensureSchema } from './schema';
import { type RunOptions, type StateStore, StateStoreUnavailable } from './state-store';

/** Longest wait for other processes; a transaction takes well under a millisecond. */
const MAX_WAIT_MS = 2_000;

/**
 * A state store in one SQLite file, for the worker processes of one machine. A transaction runs on the caller's thread, since
 * it takes some ten microseconds, a tenth of the way to another thread and back. What is committed outlives the process;
 * where the machine loses power the last moments may be missing (WAL, synchronous=NORMAL), with the file intact.
 */
export function openSqliteStore(file: string, clock: () => number = Date.now): StateStore {
  return new SqliteStore(file, clock);
}

class SqliteStore implements StateStore {
  #database: Sqlite.Database | undefined;
  readonly #statements = new Map<string, Sqlite.Statement<unknown[], StateRow>>();

  constructor(
    private readonly file: string,
    private readonly clock: () => number,
  ) {}

  async run<T>(rule: () => Rule<T>, { isReading = false }: RunOptions = {}): Promise<T> {
    try {
      const database = this.#database ?? (await this.#open());
      return await this.#transact(database, rule, isReading);
    } catch (error) {
      // SQLite opens what it cannot write to for reading only, as on a disk that has trouble, and it stays so: it is opened anew.
      if (codeOf(error).startsWith('SQLITE_READONLY')) this.#forget();
      throw isSqliteError(error) && !isMistake(error) ? new StateStoreUnavailable(error) : error;
    }
  }

  async #open(): Promise<Sqlite.Database> {
    mkdirSync(dirname(this.file), { recursive: true, mode: 0o700 });
    const database = new Sqlite(this.file, { timeout: 0 });
    try {
      database.function('now_ms', () => Math.round(this.clock()));
      await untilFree(() => {
        // Changing the mode needs the file alone; a file that is in WAL mode already is left in peace.
        if (database.pragma('journal_mode', { simple: true }) !== 'wal') database.pragma('journal_mode = WAL');
        return true;
      });
      database.pragma('synchronous = NORMAL');
      await this.#transact(database, ensureSchema);
    } catch (error) {
      database.close();
      throw error;
    }
    // Two calls may have opened it at the same time.
    if (this.#database !== undefined) database.close();
    this.#database ??= database;
    return this.#database;
  }

  /** Synchronous once it has begun, so that nothing else of this process gets in between. */
  #transact<T>(database: Sqlite.Database, rule: () => Rule<T>, isReading = false): T | Promise<T> {
    return untilFree(() => {
      // Who only reads waits for nobody in WAL mode, and nobody waits for him.
      this.#prepare(database, isReading ? 'BEGIN' : 'BEGIN IMMEDIATE').run();
      try {
        const result = this.#drive(database, rule(), isReading);
        this.#prepare(database, 'COMMIT').run();
        return result;
      } catch (error) {
        if (database.inTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  #drive<T>(database: Sqlite.Database, rule: Rule<T>, isReading: boolean): T {
    let step = rule.next();
    while (step.done !== true) step = rule.next(this.#execute(database, step.value, isReading));
    return step.value;
  }

  #execute(database: Sqlite.Database, { sql, values }: Statement, isReading: boolean): readonly StateRow[] {
    const prepared = this.#prepare(database, sql);
    if (isReading && !prepared.readonly) throw new TypeError(`a rule that only reads cannot do this: ${sql}`);
    if (prepared.reader) return prepared.all(...values);
    prepared.run(...values);
    return [];
  }

  /** While the tables are made, statements are prepared once only, against what is there by then. */
  #prepare(database: Sqlite.Database, sql: string): Sqlite.Statement<unknown[], StateRow> {
    const isKept = database === this.#database;
    const prepared = (isKept ? this.#statements.get(sql) : undefined) ?? database.prepare<unknown[], StateRow>(sql);
    if (isKept) this.#statements.set(sql, prepared);
    return prepared;
  }

  /** Not closed by hand: other calls may wait on it, and get the same answer. */
  #forget(): void {
    this.#database = undefined;
    this.#statements.clear();
  }

  async close(): Promise<void> {
    this.#database?.close();
    this.#database = undefined;
    this.#statements.clear();
  }
}

/** Works once no other process is writing. SQLite's own waiting would block the event loop. */
function untilFree<T>(work: () => T): T | Promise<T> {
  try {
    return work();
  } catch (error) {
    if (!isBusy(error)) throw error;
    return againUntilFree(work);
  }
}

async function againUntilFree<T>(work: () => T): Promise<T> {
  const giveUpAt = performance.now() + MAX_WAIT_MS;
  for (;;) {
    // At uneven times, so that no process is always late.
    await delay(0.5 + Math.random() * 2);
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAt) throw error;
    }
  }
}

/** By its code, not by its class: the native part keeps the first class it was given, also for later copies of the module. */
function isSqliteError(error: unknown): error is Error {
  return /^(?:SQLITE_|E[A-Z]+$)/.test(codeOf(error));
}

/** Values that SQLite will never take. */
function isMistake(error: Error): boolean {
  return /^SQLITE_(?:CONSTRAINT|MISMATCH|RANGE|TOOBIG)/.test(codeOf(error));
}

function isBusy(error: unknown): boolean {
  return codeOf(error).startsWith('SQLITE_BUSY');
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
