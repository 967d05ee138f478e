import Sqlite from 'better-sqlite3';

const TABLE = 'executions_visibility';

/** How long to wait for a server that is writing; the caller stands still meanwhile. */
const MAX_WAIT_MS = 1_000;

/** Flows that a database may have: with so many it takes 0.1 s. */
const MAX_FLOWS = 10_000;

/** `CREATE INDEX by_int_01 ON executions_visibility (namespace_id, Int01, …)`: of one column, within a namespace. */
const INDEX_OF_COLUMN = /\(\s*namespace_id\s*,\s*(\w+)\s*,/;

/** What Temporal asks of each flow that it lists is whether it has no value there. */
const ASKED_FOR_NONE = 'TemporalNamespaceDivision';

/**
 * Leaves flows that have no value for an attribute out of that attribute's index, in the database of an embedded server, whether it runs or not. Temporal's schema
 * puts every flow into the indexes of all attributes, of which most flows have few, whenever what lists show of it changes: a seventh of the server's CPU time for a
 * flow of 20 reads at once. Lists find the same: comparisons with a value by what is left (https://www.sqlite.org/partialindex.html, section 3), flows that have no value by
 * the index of all. Does nothing where that is done already, or the schema is another one.
 *
 * Throws an Error where the file is not to be written, a server writes for more than 1 s, or there are more than 10,000 flows.
 */
export function leaveOutMissingValues(dbFile: string): void {
  const database = new Sqlite(dbFile, { timeout: MAX_WAIT_MS, fileMustExist: true });
  try {
    // As the server has it: the log is not flushed for it.
    database.pragma('synchronous = NORMAL');
    const changes = findWholeIndexes(database);
    if (changes.length === 0) return;
    if (countFlows(database) > MAX_FLOWS)
      throw new Error(`it has more than ${MAX_FLOWS} flows; only a smaller or a new database is changed`);
    const change = database.transaction(() => database.exec(changes.join(';\n')));
    change.immediate();
  } finally {
    database.close();
  }
}

/** How many there are, and no more than the first too many. */
function countFlows(database: Sqlite.Database): number {
  const sql = `SELECT count(*) FROM (SELECT 1 FROM ${TABLE} LIMIT ${MAX_FLOWS + 1})`;
  return database.prepare<[], number>(sql).pluck().get() ?? 0;
}

/** SQL that replaces each index of a column that may have no value, and that still has all rows. */
function findWholeIndexes(database: Sqlite.Database): string[] {
  const mayMiss = new Set(
    // With the generated columns, which the attributes are.
    (database.pragma(`table_xinfo(${TABLE})`) as { name: string; notnull: number }[])
      .filter(({ name, notnull }) => notnull === 0 && name !== ASKED_FOR_NONE)
      .map(({ name }) => name),
  );
  const indexes = database
    .prepare<[string], { name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
    )
    .all(TABLE);
  return indexes.flatMap(({ name, sql }) => {
    const column = INDEX_OF_COLUMN.exec(sql)?.[1];
    if (column === undefined || !mayMiss.has(column) || /\)\s*WHERE\b/i.test(sql)) return [];
    return [`DROP INDEX "${name}"`, `${sql} WHERE ${column} IS NOT NULL`];
  });
}
