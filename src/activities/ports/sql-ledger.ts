import { notRetryable } from '../block-failure';
import type { SqlDialect } from './sql-lexer';

/** The worker's own table in every database that steps write to. What it is for: docs/guarantees.md. */
export const LEDGER_TABLE = 'beamline_ledger';

/** How long a write is remembered where the operator says nothing else: 90 days. */
export const DEFAULT_LEDGER_RETENTION_MS = 90 * 86_400_000;

/** Every how many writes of a connection or pool old rows are removed, and how many at once: more than were added meanwhile. */
const WRITES_BETWEEN_PRUNES = 32;
export const PRUNED_AT_ONCE = 100;

/** Under what a write is remembered. */
export interface SqlRecord {
  /** SHA-256 in hex, of the step's idempotency key and of what it asks for. */
  readonly id: string;
  /** The idempotency key itself, for people who look into the table. */
  readonly step: string;
}

/** How long writes are remembered. */
export interface LedgerRules {
  readonly retentionMs: number;
}

/** The statements that make the table; each is harmless where it exists. Times are milliseconds since 1970 on SQLite. */
export const LEDGER_DDL: Readonly<Record<SqlDialect, readonly string[]>> = {
  sqlite: [
    `CREATE TABLE IF NOT EXISTS ${LEDGER_TABLE} (key TEXT PRIMARY KEY, step TEXT NOT NULL, recorded_at INTEGER NOT NULL, result TEXT NOT NULL) WITHOUT ROWID`,
    `CREATE INDEX IF NOT EXISTS ${LEDGER_TABLE}_recorded_at ON ${LEDGER_TABLE} (recorded_at)`,
  ],
  postgres: [
    `CREATE TABLE IF NOT EXISTS ${LEDGER_TABLE} (key text PRIMARY KEY, step text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(), result text)`,
    `CREATE INDEX IF NOT EXISTS ${LEDGER_TABLE}_recorded_at ON ${LEDGER_TABLE} (recorded_at)`,
  ],
};

/** Tells when old rows are due to be removed: with the first write, and then now and again. */
export class PruneTurns {
  #writes = 0;

  /** Counts a write; true where it should remove old rows as well. */
  next(): boolean {
    this.#writes += 1;
    return this.#writes % WRITES_BETWEEN_PRUNES === 1;
  }
}

/** What a write gave the first time. */
export function readRecorded<T>(text: string): T {
  return JSON.parse(text) as T;
}

/** The failure of a PostgreSQL database where the table can neither be used nor made; says what an administrator has to run. */
export function ledgerDenied(where: string, { problem, role }: { problem: string; role: string }): Error {
  const commands = [...LEDGER_DDL.postgres, `GRANT SELECT, INSERT, UPDATE, DELETE ON ${LEDGER_TABLE} TO ${role}`];
  return notRetryable(
    'BLW_SQL_LEDGER',
    `${where}: ${problem}, expected a table ${LEDGER_TABLE} that remembers what steps have written; nothing was written; ` +
      `let an administrator run in a schema of the role's search_path: ${commands.join('; ')}`,
  );
}
