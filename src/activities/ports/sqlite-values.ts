import type { Json } from '../../dsl/json';
import { bigintToJson } from './sql-values';

/** What better-sqlite3 hands out with safe integers on. */
export type SqliteValue = null | string | number | bigint | Buffer;

/**
 * A column's value as JSON: integers beyond 2^53 and the numbers that JSON lacks (Infinity) as text, bytes as base64.
 */
export function sqliteValueToJson(value: SqliteValue): Json {
  if (typeof value === 'bigint') return bigintToJson(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Buffer.isBuffer(value)) return value.toString('base64');
  return value;
}
