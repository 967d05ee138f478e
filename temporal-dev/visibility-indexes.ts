import Sqlite from 'better-sqlite3';

const TABLE = 'executions_visibility';

/** How long to wait for a server that is writing. */
const MAX_WAIT_MS = 5_000;

/** `CREATE INDEX by_int_01 ON executions_visibility (namespace_id, Int01, …)`: of one column, within a namespace. */
const INDEX_OF_COLUMN = /\(\s*namespace_id\s*,\s*(\w+)\s*,/;

/**
 * Leaves flows that have no value for an attribute out of that attribute's index, in the database of an embedded server, whether it runs or not. Temporal's schema
 * has an index for each of 37 attributes that may be missing, 22 of them free for users, and puts every flow into each, whenever what lists show of it changes:
 * a seventh of the server's CPU time for a flow of 20 reads. Comparisons with a value find as much by what is left, and as fast (https://www.sqlite.org/partialindex.html,
 * section 3); which flows have no value, the index by time tells. Does nothing where that is done already, or the schema is another one.
 *
 * Throws the error of SQLite where the file is not to be written, or a server writes for more than 5 s.
 */
export function leaveOutMissingValues(dbFile: string): void {
  const database = new Sqlite(dbFile, { timeout: MAX_WAIT_MS, fileMustExist: true });
  try {
    const changes = findWholeIndexes(database);
    if (changes.length === 0) return;
    const change = database.transaction(() => database.exec(changes.join(';\n')));
    change.immediate();
  } finally {
    database.close();
  }
}

/** SQL that replaces each index of a column that may have no value, and that still has all rows. */
function findWholeIndexes(database: Sqlite.Database): string[] {
  const mayMiss = new Set(
    // With the generated columns, which the attributes are.
    (database.pragma(`table_xinfo(${TABLE})`) as { name: string; notnull: number }[])
      .filter(({ notnull }) => notnull === 0)
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
