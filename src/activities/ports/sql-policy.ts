import { notRetryable } from '../block-failure';
import { LEDGER_TABLE } from './sql-ledger';
import { isKeyword, type SqlDialect, type SqlToken } from './sql-lexer';
import type { BoundStatement } from './sql-parameters';

/** What a statement is run for: `query` reads, `execute` writes, a statement inside of a `transaction` may do both. */
export type StatementUse = 'query' | 'execute' | 'transaction';

/** What a SQLite statement that cannot write begins with, also behind WITH. */
export const SQLITE_READS = ['SELECT', 'VALUES'];
const SQLITE_WRITES = ['INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'REINDEX', 'ANALYZE'];

/** What a SQLite statement may begin with: all that is not listed reaches other files, or settings of the connection. */
const SQLITE_ALLOWED: Readonly<Record<StatementUse, readonly string[]>> = {
  query: SQLITE_READS,
  execute: SQLITE_WRITES,
  transaction: [...SQLITE_READS, ...SQLITE_WRITES],
};

/**
 * Names that no SQLite statement may use. Table-valued forms of PRAGMA show settings of the worker, such as the path of the
 * file. The tables are the worker's own (sqlite-database.ts, sqlite-ledger.ts): a step that dropped one would break all that come
 * after, and one that reads what others have written may be another tenant's.
 */
const SQLITE_REFUSED_NAME = new RegExp(`^(?:pragma_.*|blw_rowid|${LEDGER_TABLE}.*)$`, 'i');

/**
 * The worker's own table in any text of a PostgreSQL statement, also inside of a string, since DO and functions take SQL as one.
 * Against mistakes, and no border: what a function puts together of pieces is seen by the rights of its role only.
 */
const POSTGRES_REFUSED_NAME = new RegExp(LEDGER_TABLE, 'i');

/** What `sql.query` runs on PostgreSQL, also behind WITH and EXPLAIN; others would take locks or run code, read-only as they are. */
const POSTGRES_READS = ['SELECT', 'VALUES', 'TABLE', 'SHOW'];

/** What EXPLAIN explains beside these, without doing it. */
const POSTGRES_EXPLAINED = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];

/**
 * What a PostgreSQL statement may not begin with: the transaction and the session belong to the block, since sessions are
 * shared between steps, and COPY speaks a protocol of its own.
 */
const POSTGRES_REFUSED = [
  ['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'SAVEPOINT', 'RELEASE'],
  ['SET', 'RESET', 'DISCARD', 'LOAD', 'LISTEN', 'UNLISTEN', 'PREPARE', 'EXECUTE', 'DEALLOCATE'],
  ['COPY', 'DECLARE', 'FETCH', 'MOVE', 'CLOSE'],
].flat();

/** Throws BLW_SQL_STATEMENT, not retryable, where a block may not run the statement. */
export function requireAllowed(dialect: SqlDialect, use: StatementUse, bound: BoundStatement, where: string): void {
  const problem = dialect === 'postgres' ? findPostgresProblem(use, bound) : findSqliteProblem(use, bound);
  if (problem !== undefined) throw notRetryable('BLW_SQL_STATEMENT', `${where} ${problem}`);
}

function findPostgresProblem(
  use: StatementUse,
  { verbs: { first, main }, tokens }: BoundStatement,
): string | undefined {
  const refused = [first, main].find((verb) => POSTGRES_REFUSED.includes(verb));
  if (refused !== undefined) {
    return `is ${refused}, which steps may not run; each step has a transaction and a clean session of its own`;
  }
  if (tokens.some(({ kind, text }) => kind !== 'named' && POSTGRES_REFUSED_NAME.test(text))) {
    return `uses the name ${LEDGER_TABLE}, which is the worker's own table and not for steps`;
  }
  if (hasEscapedName(tokens)) return 'has a name as U&"…", whose escapes hide what it is; write the name itself';
  if (use !== 'query' || POSTGRES_READS.includes(main)) return undefined;
  if (first === 'EXPLAIN' && POSTGRES_EXPLAINED.includes(main)) return undefined;
  return `is ${main}, which sql.query does not run; expected ${POSTGRES_READS.join(', ')}`;
}

/** `U&"d\\0061ta"`, as three tokens side by side. */
function hasEscapedName(tokens: readonly SqlToken[]): boolean {
  return tokens.some(
    (token, index) =>
      isKeyword(token, 'U') &&
      tokens[index + 1]?.text === '&' &&
      tokens[index + 1]?.start === token.end &&
      tokens[index + 2]?.start === token.end + 1 &&
      tokens[index + 2]?.text.startsWith('"') === true,
  );
}

function findSqliteProblem(use: StatementUse, { verbs: { main }, tokens }: BoundStatement): string | undefined {
  const allowed = SQLITE_ALLOWED[use];
  if (!allowed.includes(main)) return `is ${main}, which sql.${use} does not run; expected ${allowed.join(', ')}`;
  if (isTemporaryObject(tokens)) {
    return 'makes or drops a temporary object, which the next step would not see; use a table, or WITH';
  }
  const name = tokens.map(nameOf).find((text) => SQLITE_REFUSED_NAME.test(text));
  if (name === undefined) return undefined;
  return `uses the name ${JSON.stringify(name)}, which is not for steps; read sqlite_schema, and pass data as parameters`;
}

/** An identifier without its quotes, which may be those of a string as well: SQLite takes a string for a name. */
function nameOf({ kind, text }: SqlToken): string {
  return kind === 'quoted' ? text.slice(1, -1) : kind === 'word' ? text : '';
}

/** `CREATE TEMP …`, and `CREATE TABLE temp.…`: its name is among the first tokens, also after IF NOT EXISTS. */
function isTemporaryObject(tokens: readonly SqlToken[]): boolean {
  if (!['CREATE', 'DROP', 'ALTER'].some((verb) => isKeyword(tokens[0], verb))) return false;
  if (isKeyword(tokens[1], 'TEMP') || isKeyword(tokens[1], 'TEMPORARY')) return true;
  return tokens.slice(0, 7).some((token, index) => /^\W?temp\W?$/i.test(token.text) && tokens[index + 1]?.text === '.');
}
