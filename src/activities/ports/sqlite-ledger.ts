import {
  LEDGER_DDL,
  LEDGER_TABLE,
  type LedgerRules,
  PRUNED_AT_ONCE,
  PruneTurns,
  readRecorded,
  type SqlRecord,
} from './sql-ledger';
import type { SqliteConnection } from './sqlite-connection';

const FIND = `SELECT result FROM ${LEDGER_TABLE} WHERE key = ?`;
const ADD = `INSERT INTO ${LEDGER_TABLE} (key, step, recorded_at, result) VALUES (?, ?, ?, ?)`;
const PRUNE = `DELETE FROM ${LEDGER_TABLE} WHERE key IN (SELECT key FROM ${LEDGER_TABLE} WHERE recorded_at < ? ORDER BY recorded_at LIMIT ${PRUNED_AT_ONCE})`;

/** What a SQLite file remembers of writes. Every call belongs into a transaction that holds the write lock already. */
export class SqliteLedger {
  readonly #turns = new PruneTurns();

  constructor(private readonly rules: LedgerRules) {}

  /** Does the work and remembers what it gives; or gives what it gave the first time. */
  once<T>(connection: SqliteConnection, record: SqlRecord, work: () => T): T {
    for (const statement of LEDGER_DDL.sqlite) connection.prepare(statement).run();
    const [known] = connection.prepare(FIND).get(record.id) ?? [];
    if (typeof known === 'string') return readRecorded<T>(known);
    const result = work();
    connection.prepare(ADD).run(record.id, record.step, Date.now(), JSON.stringify(result));
    if (this.#turns.next()) connection.prepare(PRUNE).run(Date.now() - this.rules.retentionMs);
    return result;
  }
}
