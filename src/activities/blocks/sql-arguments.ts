import { createHash } from 'node:crypto';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import type { BlockContext } from '../block';
import { type BlockFailure, notRetryable } from '../block-failure';
import type { SqlDatabase, SqlStatement } from '../ports/sql-databases';
import type { SqlRecord } from '../ports/sql-ledger';

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
 * Under what the database remembers the step's write. The key alone is not enough: after a reset, or in the next round of a
 * `try`, the step may ask for something else under it. Undefined where the author says that doing it twice is harmless.
 */
export function recordOf(args: JsonObject, { step }: BlockContext): SqlRecord | undefined {
  const { idempotencyKey, idempotent, blockType, argumentsDigest = JSON.stringify(args) } = step;
  if (idempotent) return undefined;
  const id = createHash('sha256')
    .update(JSON.stringify([idempotencyKey, blockType, argumentsDigest]))
    .digest('hex');
  return { id, step: idempotencyKey };
}
