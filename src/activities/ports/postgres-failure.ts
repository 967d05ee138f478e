import { DatabaseError } from 'pg';
import type { ErrorCode } from '../../dsl/error-codes';
import { FlowError } from '../../dsl/errors';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { BlockFailure, notRetryable, retryable } from '../block-failure';

type Verdict = readonly [ErrorCode, 'retryable' | 'final'];

const STATEMENT: Verdict = ['BLW_SQL_STATEMENT', 'final'];
const CONSTRAINT: Verdict = ['BLW_SQL_CONSTRAINT', 'final'];
const UNAVAILABLE: Verdict = ['BLW_SQL_UNAVAILABLE', 'retryable'];
const TIMEOUT: Verdict = ['BLW_SQL_TIMEOUT', 'retryable'];
const OUTAGE: Verdict = ['BLW_SQL_FAILED', 'retryable'];
const BROKEN: Verdict = ['BLW_SQL_FAILED', 'final'];

/**
 * What a SQLSTATE means for a step, by whole code and else by class
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html). What is not listed is BLW_SQL_FAILED, final.
 */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  '08': UNAVAILABLE, // connection
  '0A': STATEMENT, // feature not supported
  '0L': STATEMENT,
  '0P': STATEMENT,
  '20': STATEMENT,
  '21': STATEMENT, // cardinality
  '22': STATEMENT, // data
  '23': CONSTRAINT,
  '25': STATEMENT, // transaction state, e.g. a write while read-only
  '25P03': TIMEOUT, // idle in transaction
  '26': STATEMENT,
  '27': CONSTRAINT,
  '28': BROKEN, // credentials
  '2B': CONSTRAINT, // dependent objects
  '2D': STATEMENT,
  '2F': STATEMENT,
  '34': STATEMENT,
  '38': STATEMENT,
  '39': STATEMENT,
  '3B': STATEMENT,
  '3D': BROKEN, // no such database
  '3F': STATEMENT,
  '40': UNAVAILABLE, // serialization, deadlock
  '40002': CONSTRAINT,
  '42': STATEMENT, // syntax, names, privileges
  '44': CONSTRAINT, // WITH CHECK OPTION
  '53': UNAVAILABLE, // resources
  '54': STATEMENT, // limits
  '55': STATEMENT,
  '55006': UNAVAILABLE,
  '55P03': UNAVAILABLE, // lock not available
  '57': UNAVAILABLE, // shutdown, starting up
  '57014': TIMEOUT, // cancelled
  '58': OUTAGE, // operating system
  F0: BROKEN,
  P0: STATEMENT, // RAISE in a function
  XX: BROKEN,
};

/**
 * Turns what node-postgres throws into a BlockFailure; FlowErrors pass unchanged. The message is the server's own primary
 * message, without the values of parameters. Its detail and the error itself (as `cause`) are left out: they quote rows.
 */
export function postgresFailure(error: unknown, where: string): unknown {
  if (error instanceof FlowError) return error;
  if (error instanceof DatabaseError && error.code !== undefined) return serverFailure(error, error.code, where);
  return retryable('BLW_SQL_UNAVAILABLE', `${where}: ${connectionMessage(error)}`, { cause: error });
}

/** The server's own code, where a failure is one that it reported. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof FlowError) || !isJsonObject(error.data.data)) return undefined;
  const { sqlState } = error.data.data;
  return typeof sqlState === 'string' ? sqlState : undefined;
}

/**
 * The failure of a COMMIT whose answer was lost: `data.outcome` is `unknown`. Retryable: the next attempt finds in the ledger
 * whether it took effect, or the author has said that doing it twice is harmless.
 */
export function outcomeUnknown(where: string): BlockFailure {
  const detail = `${where}: the connection was lost during COMMIT; the next attempt finds out whether it took effect, after the last one check in the database`;
  return retryable('BLW_SQL_FAILED', detail, { data: { outcome: 'unknown' } });
}

/** The failure of a connection that could not be made; names server and database, never the password. */
export function connectFailure(error: unknown, where: string): unknown {
  if (!isCredentialProblem(error)) return postgresFailure(error, where);
  const detail = `${where}: the server refuses the login (${connectionMessage(error)}); check user, password and database`;
  return notRetryable('BLW_SQL_FAILED', detail);
}

function isCredentialProblem(error: unknown): boolean {
  if (error instanceof DatabaseError) return /^(28|3D)/.test(error.code ?? '');
  return error instanceof Error && /^SASL/.test(error.message);
}

function serverFailure(error: DatabaseError, sqlState: string, where: string): BlockFailure {
  const [code, outcome] = VERDICTS[sqlState] ?? VERDICTS[sqlState.slice(0, 2)] ?? BROKEN;
  const data: JsonObject = { sqlState };
  for (const key of ['schema', 'table', 'column', 'constraint'] as const) {
    const value = error[key];
    if (value !== undefined) data[key] = value;
  }
  return new BlockFailure(code, `${where}: ${hideValues(error.message, sqlState)} (SQLSTATE ${sqlState})`, {
    retryable: outcome === 'retryable',
    data,
  });
}

/** Data exceptions (class 22) quote the value, e.g. `invalid input syntax for type integer: "secret"`. */
function hideValues(message: string, sqlState: string): string {
  return sqlState.startsWith('22') ? message.replace(/"[\s\S]*"/, '"…"') : message;
}

/** Node reports a host with several addresses as an AggregateError without a message of its own. */
function connectionMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error.message === '') return code;
  return code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}
