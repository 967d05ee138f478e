import type { JsonObject } from '../../dsl/json';
import type { SqlChange, SqlLimits, SqlRows } from './sql-databases';
import {
  MAX_TRANSACTION_ROWS,
  type ResultBudget,
  RowCollector,
  requireDistinctColumns,
  requireTimeLeft,
} from './sql-limits';
import type { BoundStatement } from './sql-parameters';
import { bigintToJson } from './sql-values';
import type { SqliteConnection, SqliteStatement } from './sqlite-connection';
import { sqliteValueToJson } from './sqlite-values';

/** How many rows are read between two looks at the clock. */
const ROWS_PER_CLOCK_CHECK = 256;

/** No statement of a user gets this rowid by itself, so finding it means that nothing was inserted. */
const NO_ROWID = -(2n ** 63n);
const FORGET_ROWID = `INSERT OR REPLACE INTO temp.blw_rowid (rowid) VALUES (${NO_ROWID})`;

/** What a statement of a transaction did, and the rows that it gave. */
export type TransactionResult = SqlChange & { rows?: JsonObject[] };

/** How rows are read. */
export interface ReadOptions {
  readonly maxRows: number;
  readonly budget: ResultBudget;
  readonly where: string;
  readonly limits: SqlLimits;
}

/** Reads the rows of a statement, in time and within the budget. */
export function readRows(prepared: SqliteStatement, bound: BoundStatement, options: ReadOptions): SqlRows {
  const { maxRows, budget, where, limits } = options;
  const iterator = prepared.iterate(...bound.values);
  try {
    let next = iterator.next();
    // Asked for after the first step: only then SQLite has noticed a schema that changed since the statement was prepared.
    const columns = prepared.columns().map((column) => column.name);
    requireDistinctColumns(columns, where);
    const collector = new RowCollector(columns, budget, where);
    for (; next.done !== true && collector.rows.length < maxRows; next = iterator.next()) {
      collector.add(next.value.map(sqliteValueToJson));
      if (collector.rows.length % ROWS_PER_CLOCK_CHECK === 0) requireTimeLeft(limits);
    }
    return { columns, rows: collector.rows, truncated: next.done !== true };
  } finally {
    iterator.return?.();
  }
}

/** Runs a statement that writes; with RETURNING, all changes are made by the first step. */
export function change(
  connection: SqliteConnection,
  prepared: SqliteStatement,
  { values, verbs }: BoundStatement,
): SqlChange {
  connection.prepare(FORGET_ROWID).run();
  const { changes } = prepared.run(...values);
  return { rowsAffected: changes, ...lastInsertId(connection, verbs.main) };
}

/** Runs a statement of a transaction, whether it reads or writes. */
export function runInTransaction(
  connection: SqliteConnection,
  bound: BoundStatement,
  options: Omit<ReadOptions, 'maxRows'>,
): TransactionResult {
  requireTimeLeft(options.limits);
  const prepared = connection.prepare(bound.text);
  if (!prepared.reader) return change(connection, prepared, bound);
  connection.prepare(FORGET_ROWID).run();
  const before = countChanges(connection);
  const { rows } = readRows(prepared, bound, { ...options, maxRows: MAX_TRANSACTION_ROWS });
  const after = countChanges(connection);
  const rowsAffected = after.total === before.total ? 0 : after.last;
  return { rowsAffected, ...lastInsertId(connection, bound.verbs.main), rows };
}

function countChanges(connection: SqliteConnection): { total: number; last: number } {
  const [total, last] = connection.prepare('SELECT total_changes(), changes()').get() ?? [];
  return { total: Number(total), last: Number(last) };
}

function lastInsertId(connection: SqliteConnection, verb: string): { lastInsertId?: number } {
  if (verb !== 'INSERT' && verb !== 'REPLACE') return {};
  const [rowid] = connection.prepare('SELECT last_insert_rowid()').get() ?? [];
  if (typeof rowid !== 'bigint' || rowid === NO_ROWID) return {};
  const id = bigintToJson(rowid);
  return typeof id === 'number' ? { lastInsertId: id } : {};
}
