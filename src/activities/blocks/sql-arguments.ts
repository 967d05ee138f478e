import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import type { BlockContext } from '../block';
import { BlockFailure, notRetryable } from '../block-failure';
import type { SqlDatabase, SqlStatement } from '../ports/sql-databases';

/** The database that `database` names. Throws BLW_SQL_DATABASE_UNKNOWN. */
export function databaseOf(args: JsonObject, { ports, step }: BlockContext): SqlDatabase {
  const { database } = args;
  if (typeof database !== 'string') throw wrongArgument('database', 'a name', database);
  return ports.databases.get(database, step.tenant);
}

/** `statement` and `parameters` of the arguments, or of one entry of `statements`. */
export function statementOf(source: Json | undefined, path = ''): SqlStatement {
  if (!isJsonObject(source)) throw wrongArgument(path, 'an object', source);
  const { statement, parameters } = source;
  const prefix = path === '' ? '' : `${path}.`;
  if (typeof statement !== 'string') throw wrongArgument(`${prefix}statement`, 'SQL text', statement);
  if (parameters === undefined) return { statement };
  if (!isJsonObject(parameters) && !Array.isArray(parameters)) {
    throw wrongArgument(`${prefix}parameters`, 'an object or an array', parameters);
  }
  return { statement, parameters };
}

/** The failure of an argument that the block's schema should have refused. */
export function wrongArgument(name: string, expected: string, got: unknown): BlockFailure {
  return notRetryable('BLW_ARG_INVALID', `with.${name}: got ${describeJsonType(got)}, expected ${expected}`);
}

/**
 * Runs a write. Where its outcome is unknown (the answer to COMMIT was lost), it is tried again only if doing it twice is
 * harmless by the author's word (`metadata.idempotent`).
 */
export async function runWrite<T>({ step }: BlockContext, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (step.idempotent || !isOutcomeUnknown(error)) throw error;
    const detail = `${error.message}; set metadata.idempotent: true on the step if running it twice is harmless`;
    throw notRetryable('BLW_SQL_FAILED', detail, { data: { outcome: 'unknown' }, cause: error });
  }
}

function isOutcomeUnknown(error: unknown): error is BlockFailure {
  return error instanceof BlockFailure && isJsonObject(error.data.data) && error.data.data.outcome === 'unknown';
}
