import { createHash } from 'node:crypto';
import type { BlockExecutor } from '../../src/activities/block';
import { sqlExecute } from '../../src/activities/blocks/sql-execute';
import { sqlQuery } from '../../src/activities/blocks/sql-query';
import { sqlTransaction } from '../../src/activities/blocks/sql-transaction';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import type { Json, JsonObject } from '../../src/dsl/json';
import { makeContext } from '../helpers/block-context';
import { label, type Outcome, outcomeOf } from './attack';
import type { SqlInput, SqlUse } from './sql';

/** Codes of what is refused, and of what is stopped. */
export const REFUSED = ['BLW_SQL_STATEMENT', 'BLW_SQL_PARAMETERS', 'BLW_SQL_CONSTRAINT'];
export const STOPPED = [...REFUSED, 'BLW_SQL_TIMEOUT', 'BLW_RESULT_TOO_LARGE', 'BLW_BLOCK_CRASHED'];

const BLOCKS: Readonly<Record<SqlUse, BlockExecutor>> = {
  query: sqlQuery,
  execute: sqlExecute,
  transaction: sqlTransaction,
};

/** The block of a statement and its arguments. */
export function callOf({ use, statement }: SqlInput, database: string): { block: BlockExecutor; args: JsonObject } {
  const statements = [statement].flat().map((text) => ({ statement: text }));
  const args = use === 'transaction' ? { database, statements } : { database, statement: String(statement) };
  return { block: BLOCKS[use], args };
}

/** Runs a statement as a step of the tenant would. */
export function runSql(
  databases: SqlDatabases,
  input: SqlInput,
  { tenant = 'acme', database = 'shop', timeoutMs = 10_000, signal }: RunOptions = {},
): Promise<Outcome<Json>> {
  const { block, args } = callOf(input, database);
  const options = { step: { tenant }, timeoutMs, ...(signal === undefined ? {} : { signal }) };
  return outcomeOf(() => block(args, makeContext({ databases }, options)));
}

export interface RunOptions {
  readonly tenant?: string;
  readonly database?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A name for a case, unique also where long texts begin alike. */
export function nameOf({ use, statement }: SqlInput): string {
  const text = [statement].flat().join(' | ');
  const mark = text.length > 70 ? ` #${createHash('sha256').update(text).digest('hex').slice(0, 6)}` : '';
  return `sql.${use}: ${label(text)}${mark}`;
}
