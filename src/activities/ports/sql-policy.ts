import { notRetryable } from '../block-failure';
import { isKeyword, type SqlDialect, type SqlToken } from './sql-lexer';
import type { BoundStatement } from './sql-parameters';

/** What a statement is run for: `query` reads, `execute` writes, a statement inside of a `transaction` may do both. */
export type StatementUse = 'query' | 'execute' | 'transaction';

const SQLITE_READS = ['SELECT', 'VALUES'];
const SQLITE_WRITES = ['INSERT', 'REPLACE', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'ALTER', 'REINDEX', 'ANALYZE'];

/** What a SQLite statement may begin with: all that is not listed reaches other files, or settings of the connection. */
const SQLITE_ALLOWED: Readonly<Record<StatementUse, readonly string[]>> = {
  query: SQLITE_READS,
  execute: SQLITE_WRITES,
  transaction: [...SQLITE_READS, ...SQLITE_WRITES],
};

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
  const { first, main } = bound.verbs;
  if (dialect === 'postgres') {
    const refused = [first, main].find((verb) => POSTGRES_REFUSED.includes(verb));
    if (refused === undefined) return;
    const detail = `${where} is ${refused}, which steps may not run; each step has a transaction and a clean session of its own`;
    throw notRetryable('BLW_SQL_STATEMENT', detail);
  }
  if (!SQLITE_ALLOWED[use].includes(main)) {
    const expected = SQLITE_ALLOWED[use].join(', ');
    throw notRetryable('BLW_SQL_STATEMENT', `${where} is ${main}, which sql.${use} does not run; expected ${expected}`);
  }
  if (isTemporaryObject(bound.tokens)) {
    const detail = `${where} makes or drops a temporary object, which the next step would not see; use a table, or WITH`;
    throw notRetryable('BLW_SQL_STATEMENT', detail);
  }
}

/** `CREATE TEMP …`, and `CREATE TABLE temp.…`: its name is among the first tokens, also after IF NOT EXISTS. */
function isTemporaryObject(tokens: readonly SqlToken[]): boolean {
  if (!['CREATE', 'DROP', 'ALTER'].some((verb) => isKeyword(tokens[0], verb))) return false;
  if (isKeyword(tokens[1], 'TEMP') || isKeyword(tokens[1], 'TEMPORARY')) return true;
  return tokens.slice(0, 7).some((token, index) => /^\W?temp\W?$/i.test(token.text) && tokens[index + 1]?.text === '.');
}
