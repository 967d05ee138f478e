import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { FlowError, messageOf } from '../../dsl/errors';
import { isJsonObject } from '../../dsl/json';
import { notRetryable, retryable } from '../block-failure';
import { hasCode, isLasting } from './blob-io';
import type { SqlChange, SqlDatabase, SqlLimits, SqlRows, SqlStatement } from './sql-databases';
import { DEFAULT_LEDGER_RETENTION_MS, type LedgerRules, type SqlRecord } from './sql-ledger';
import { ResultBudget, requireTimeLeft } from './sql-limits';
import { type BoundStatement, bindStatement } from './sql-parameters';
import { requireAllowed, SQLITE_READS, type StatementUse } from './sql-policy';
import { SqliteConnection } from './sqlite-connection';
import { sqliteCodeOf, sqliteFailure } from './sqlite-failure';
import { SqliteLedger } from './sqlite-ledger';
import { change, readRows, runInTransaction, type TransactionResult } from './sqlite-statements';

/** Longest wait for another writer; a step that waits longer is better tried again than kept. */
const MAX_BUSY_MS = 5_000;

/**
 * Opens a SQLite file; the file and its folder are made on first use. Commits are on disk when they are acknowledged.
 *
 * Calls block their thread until SQLite is done, and nothing can interrupt a running statement: use it in a process that may
 * be killed (src/activities/process). The deadline is honoured between rows and while waiting for other writers.
 * Throws BLW_CONFIG for a database in memory, which no other process would see.
 */
export function openSqliteDatabase(
  { name, file }: { name: string; file: string },
  ledger: LedgerRules = { retentionMs: DEFAULT_LEDGER_RETENTION_MS },
): SqlDatabase {
  if (isMemoryFile(file)) {
    const detail = `database "${name}": "${file}" lives in memory, and every step would see one of its own; give a file`;
    throw notRetryable('BLW_CONFIG', detail);
  }
  return new SqliteDatabase(name, file, new SqliteLedger(ledger));
}

/** True for names that SQLite takes as a database in memory, or as a URI that may name one. */
export function isMemoryFile(file: string): boolean {
  return file.trim() === '' || /:memory:/i.test(file) || /^file:/i.test(file);
}

interface WriteOptions {
  readonly limits: SqlLimits;
  readonly record: SqlRecord | undefined;
}

class SqliteDatabase implements SqlDatabase {
  readonly kind = 'sqlite';
  #writer: SqliteConnection | undefined;
  #reader: SqliteConnection | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly name: string,
    private readonly file: string,
    private readonly ledger: SqliteLedger,
  ) {}

  async query(statement: SqlStatement, maxRows: number, limits: SqlLimits): Promise<SqlRows> {
    const where = this.#place('statement');
    const bound = bindAllowed('query', statement, where);
    return mapFailures(where, statement, () => {
      const connection = this.#openReader(limits);
      const prepared = connection.prepare(bound.text);
      if (!prepared.readonly) {
        throw notRetryable('BLW_SQL_STATEMENT', `${where} writes, and sql.query only reads; use sql.execute`);
      }
      return readRows(prepared, bound, { maxRows, budget: new ResultBudget(), where, limits });
    });
  }

  async execute(statement: SqlStatement, limits: SqlLimits, record?: SqlRecord): Promise<SqlChange> {
    const where = this.#place('statement');
    const bound = bindAllowed('execute', statement, where);
    return this.#inTransaction({ limits, record }, (connection) =>
      mapFailures(where, statement, () => change(connection, connection.prepare(bound.text), bound)),
    );
  }

  async transaction(
    statements: readonly SqlStatement[],
    limits: SqlLimits,
    record?: SqlRecord,
  ): Promise<TransactionResult[]> {
    const budget = new ResultBudget();
    const work = statements.map((statement, index) => {
      const where = this.#place(`statement ${index + 1} of ${statements.length}`);
      return { statement, where, bound: bindAllowed('transaction', statement, where) };
    });
    // What only reads leaves nothing behind, and would write for its record alone.
    const isRecorded = work.some(({ bound }) => !SQLITE_READS.includes(bound.verbs.main));
    return this.#inTransaction({ limits, record: isRecorded ? record : undefined }, (connection) =>
      work.map(({ statement, where, bound }) =>
        mapFailures(where, statement, () => runInTransaction(connection, bound, { budget, where, limits })),
      ),
    );
  }

  async close(): Promise<void> {
    const connections = [this.#reader, this.#writer];
    this.#reader = undefined;
    this.#writer = undefined;
    for (const connection of connections) connection?.close();
  }

  /** One after the other: a transaction stays open while its attempt is confirmed. */
  #inTransaction<T>(options: WriteOptions, work: (connection: SqliteConnection) => T): Promise<T> {
    const turn = this.#lastTurn.then(() => this.#transact(options, work));
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /**
   * BEGIN IMMEDIATE takes the write lock at once: waiting happens there, and not in the middle of the work. Whoever asks for the
   * same record meanwhile waits there, too, and finds it.
   */
  async #transact<T>({ limits, record }: WriteOptions, work: (connection: SqliteConnection) => T): Promise<T> {
    await limits.fence?.confirm();
    return await mapLateFailures(this.#place('transaction'), async () => {
      const connection = this.#openWriter(limits);
      connection.prepare('BEGIN IMMEDIATE').run();
      try {
        const result =
          record === undefined ? work(connection) : this.ledger.once(connection, record, () => work(connection));
        // Without a turn of the event loop, as a rule: whoever waits for the lock in SQLite stops this thread.
        if (limits.fence?.isFresh() === false) await limits.fence.confirm();
        requireTimeLeft(limits);
        connection.prepare('COMMIT').run();
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after some failures, e.g. INSERT OR ROLLBACK.
        if (connection.database.inTransaction) connection.prepare('ROLLBACK').run();
        if (isReadOnlyFailure(error)) this.#dropWriter();
        throw error;
      }
    });
  }

  /** SQLite opens what it may not write to for reading only, and stays so: the next attempt opens it anew. */
  #dropWriter(): void {
    this.#writer?.close();
    this.#writer = undefined;
  }

  #place(where: string): string {
    return `database "${this.name}", ${where}`;
  }

  #openWriter(limits: SqlLimits): SqliteConnection {
    const left = requireTimeLeft(limits);
    this.#writer ??= this.#createWriter();
    this.#writer.setBusyTimeout(Math.min(MAX_BUSY_MS, left * 0.8));
    return this.#writer;
  }

  #createWriter(): SqliteConnection {
    makeFolder(this.name, dirname(this.file));
    const connection = new SqliteConnection(this.file, { readonly: false });
    connection.database.exec('CREATE TEMP TABLE IF NOT EXISTS blw_rowid (x)');
    return connection;
  }

  /** A connection that cannot write, beside the check of each statement. */
  #openReader(limits: SqlLimits): SqliteConnection {
    const left = requireTimeLeft(limits);
    this.#reader ??= this.#createReader();
    this.#reader.setBusyTimeout(Math.min(MAX_BUSY_MS, left * 0.8));
    return this.#reader;
  }

  #createReader(): SqliteConnection {
    try {
      // Makes the file where there is none, and recovers what a killed process left; a reader can do neither.
      this.#writer ??= this.#createWriter();
    } catch (error) {
      if (!isReadOnlyFile(error)) throw error;
    }
    return new SqliteConnection(this.file, { readonly: true });
  }
}

function isReadOnlyFailure(error: unknown): boolean {
  const { data } = error instanceof FlowError ? error.data : {};
  const code = isJsonObject(data) ? data.sqliteCode : sqliteCodeOf(error);
  return typeof code === 'string' && code.startsWith('SQLITE_READONLY');
}

const isReadOnlyFile = (error: unknown): boolean => /^SQLITE_(READONLY|CANTOPEN)/.test(sqliteCodeOf(error) ?? '');

async function mapLateFailures<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw sqliteFailure(error, where);
  }
}

function mapFailures<T>(where: string, statement: SqlStatement | undefined, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw sqliteFailure(error, where, statement?.statement);
  }
}

function makeFolder(name: string, folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const reason = messageOf(error);
    const detail = `database "${name}": its folder cannot be made (${reason}); make it, or let the worker write there`;
    throw (isLasting(error) || hasCode(error, 'EEXIST') ? notRetryable : retryable)('BLW_SQL_FAILED', detail, {
      cause: error,
    });
  }
}

function bindAllowed(use: StatementUse, statement: SqlStatement, where: string): BoundStatement {
  const bound = bindStatement('sqlite', statement, where);
  requireAllowed('sqlite', use, bound, where);
  return bound;
}
