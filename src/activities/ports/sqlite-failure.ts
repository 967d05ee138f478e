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
  // A disk that has trouble becomes read-only for a while.
  ['SQLITE_READONLY', ['BLW_SQL_FAILED', 'retryable']],
  ['SQLITE_CORRUPT', ['BLW_SQL_FAILED', 'final']],
  ['SQLITE_NOTADB', ['BLW_SQL_FAILED', 'final']],
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
  const sqliteCode = sqliteCodeOf(error);
  if (sqliteCode !== undefined) {
    const primary = /^SQLITE_[A-Z]+/.exec(sqliteCode)?.[0] ?? sqliteCode;
    const [code, outcome] = VERDICTS.get(primary) ?? (['BLW_SQL_STATEMENT', 'final'] as const);
    return new BlockFailure(code, `${where}: ${hideValues(messageOf(error), statement)} (${sqliteCode})`, {
      retryable: outcome === 'retryable',
      data: { sqliteCode },
    });
  }
  // better-sqlite3 refuses some statements itself, e.g. one with a second statement behind it.
  if (hasField(error, 'name') && error.name === 'RangeError') {
    return new BlockFailure('BLW_SQL_STATEMENT', `${where}: ${messageOf(error)}`, { retryable: false, cause: error });
  }
  return error;
}

/**
 * SQLite's result code, e.g. `SQLITE_BUSY_RECOVERY`, where the error is one of SQLite's. By its looks and not by `instanceof`:
 * the native module throws the class of whoever loaded it first, which need not be the one that is imported here.
 */
export function sqliteCodeOf(error: unknown): string | undefined {
  if (!hasField(error, 'code')) return undefined;
  return typeof error.code === 'string' && error.code.startsWith('SQLITE_') ? error.code : undefined;
}

function hasField<K extends string>(error: unknown, field: K): error is Record<K, unknown> {
  return typeof error === 'object' && error !== null && field in error;
}

const messageOf = (error: unknown): string => (hasField(error, 'message') ? String(error.message) : String(error));

function hideValues(message: string, statement: string): string {
  return message.replace(/"[\s\S]*"|'[\s\S]*'/g, (quoted) =>
    statement.includes(quoted.slice(1, -1)) ? quoted : `${quoted.charAt(0)}…${quoted.charAt(0)}`,
  );
}
