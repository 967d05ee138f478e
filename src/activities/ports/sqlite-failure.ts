import { SqliteError } from 'better-sqlite3';
import type { ErrorCode } from '../../dsl/error-codes';
import { FlowError } from '../../dsl/errors';
import { BlockFailure } from '../block-failure';

type Verdict = readonly [ErrorCode, 'retryable' | 'final'];

/**
 * What SQLite's primary result codes mean for a step (https://sqlite.org/rescode.html); extended codes begin with them.
 * What is not listed is SQLITE_ERROR and its kin: the statement is at fault.
 */
const VERDICTS: ReadonlyMap<string, Verdict> = new Map<string, Verdict>([
  ['SQLITE_CONSTRAINT', ['BLW_SQL_CONSTRAINT', 'final']],
  ['SQLITE_BUSY', ['BLW_SQL_UNAVAILABLE', 'retryable']],
  ['SQLITE_LOCKED', ['BLW_SQL_UNAVAILABLE', 'retryable']],
  ['SQLITE_PROTOCOL', ['BLW_SQL_UNAVAILABLE', 'retryable']],
  ['SQLITE_SCHEMA', ['BLW_SQL_UNAVAILABLE', 'retryable']],
  ['SQLITE_CANTOPEN', ['BLW_SQL_UNAVAILABLE', 'retryable']],
  ['SQLITE_FULL', ['BLW_SQL_FAILED', 'retryable']],
  ['SQLITE_IOERR', ['BLW_SQL_FAILED', 'retryable']],
  ['SQLITE_NOMEM', ['BLW_SQL_FAILED', 'retryable']],
  ['SQLITE_CORRUPT', ['BLW_SQL_FAILED', 'final']],
  ['SQLITE_NOTADB', ['BLW_SQL_FAILED', 'final']],
  ['SQLITE_READONLY', ['BLW_SQL_FAILED', 'final']],
  ['SQLITE_PERM', ['BLW_SQL_FAILED', 'final']],
  ['SQLITE_INTERNAL', ['BLW_SQL_FAILED', 'final']],
]);

/**
 * Turns what better-sqlite3 throws into a BlockFailure; FlowErrors and foreign errors pass unchanged.
 * The message is SQLite's own, without the values of parameters: what it quotes is kept only where the statement says it.
 * SQLite's error itself is not kept as `cause`, since it would carry such a value on into logs and histories.
 */
export function sqliteFailure(error: unknown, where: string, statement = ''): unknown {
  if (error instanceof FlowError) return error;
  if (error instanceof SqliteError) {
    const primary = /^SQLITE_[A-Z]+/.exec(error.code)?.[0] ?? error.code;
    const [code, outcome] = VERDICTS.get(primary) ?? (['BLW_SQL_STATEMENT', 'final'] as const);
    return new BlockFailure(code, `${where}: ${hideValues(error.message, statement)} (${error.code})`, {
      retryable: outcome === 'retryable',
      data: { sqliteCode: error.code },
    });
  }
  // better-sqlite3 refuses some statements itself, e.g. one with a second statement behind it.
  if (error instanceof RangeError) {
    return new BlockFailure('BLW_SQL_STATEMENT', `${where}: ${error.message}`, { retryable: false, cause: error });
  }
  return error;
}

function hideValues(message: string, statement: string): string {
  return message.replace(/"[\s\S]*"|'[\s\S]*'/g, (quoted) =>
    statement.includes(quoted.slice(1, -1)) ? quoted : `${quoted.charAt(0)}…${quoted.charAt(0)}`,
  );
}
