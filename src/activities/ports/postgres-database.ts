import type { JsonObject } from '../../dsl/json';
import { retryable } from '../block-failure';
import { PostgresConnections, TableMissing } from './postgres-connections';
import { findLedger, type LedgerPlace, LedgerUpkeep, makeLedger, readCommand, takeCommand } from './postgres-ledger';
import type { KeepRows, PostgresSession } from './postgres-session';
import type { SqlChange, SqlDatabase, SqlLimits, SqlRows, SqlStatement } from './sql-databases';
import {
  DEFAULT_LEDGER_RETENTION_MS,
  LEDGER_TABLE,
  type LedgerRules,
  readRecorded,
  type SqlRecord,
} from './sql-ledger';
import { MAX_TRANSACTION_ROWS, ResultBudget } from './sql-limits';
import { type BoundStatement, bindStatement } from './sql-parameters';
import { requireAllowed, type StatementUse } from './sql-policy';

type TransactionResult = SqlChange & { rows?: JsonObject[] };

/**
 * A PostgreSQL database by its URL; connects on first use. Every call is a transaction of its own on a session without
 * leftovers of other calls; values travel apart from the text (extended protocol); dates and times are in UTC.
 */
export function openPostgresDatabase(
  { name, url }: { name: string; url: string },
  ledger: LedgerRules = { retentionMs: DEFAULT_LEDGER_RETENTION_MS },
): SqlDatabase {
  return new PostgresDatabase(name, url, ledger);
}

interface WriteOnce {
  readonly limits: SqlLimits;
  readonly where: string;
  readonly record: SqlRecord;
  readonly isSecondTry?: boolean;
}

/** Times that the table is looked for; it is made in between. */
const MAX_LEDGER_ROUNDS = 3;

class PostgresDatabase implements SqlDatabase {
  readonly kind = 'postgres';
  readonly #connections: PostgresConnections;
  readonly #upkeep: LedgerUpkeep;
  /** Once it has been found. */
  #ledger: LedgerPlace | undefined;

  constructor(
    private readonly name: string,
    url: string,
    ledger: LedgerRules,
  ) {
    this.#upkeep = new LedgerUpkeep(ledger);
    this.#connections = new PostgresConnections(name, url);
  }

  async query(statement: SqlStatement, maxRows: number, limits: SqlLimits): Promise<SqlRows> {
    const where = this.#place('statement');
    const bound = bindAllowed('query', statement, where);
    const keep: KeepRows = { maxRows, toTheEnd: false, budget: new ResultBudget(), where };
    return this.#connections.use({ use: 'query', limits }, async (session) => {
      const { columns, rows, truncated } = await session.run(bound, keep);
      return { columns, rows, truncated };
    });
  }

  async execute(statement: SqlStatement, limits: SqlLimits, record?: SqlRecord): Promise<SqlChange> {
    const where = this.#place('statement');
    const bound = bindAllowed('execute', statement, where);
    const keep: KeepRows = { maxRows: 0, toTheEnd: true, budget: new ResultBudget(), where };
    return this.#write({ limits, where, record }, async (session) => {
      const { rowsAffected } = await session.run(bound, keep);
      return { rowsAffected };
    });
  }

  async transaction(
    statements: readonly SqlStatement[],
    limits: SqlLimits,
    record?: SqlRecord,
  ): Promise<TransactionResult[]> {
    const budget = new ResultBudget();
    const work = statements.map((statement, index) => {
      const where = this.#place(`statement ${index + 1} of ${statements.length}`);
      const keep: KeepRows = { maxRows: MAX_TRANSACTION_ROWS, toTheEnd: true, budget, where };
      return { bound: bindAllowed('transaction', statement, where), keep };
    });
    return this.#write({ limits, where: this.#place('transaction'), record }, async (session) => {
      const results: TransactionResult[] = [];
      for (const { bound, keep } of work) {
        const { columns, rows, rowsAffected } = await session.run(bound, keep);
        results.push(columns.length === 0 ? { rowsAffected } : { rowsAffected, rows });
      }
      return results;
    });
  }

  /** Does the work and commits; with a record, once. */
  async #write<T>(
    { limits, where, record }: { limits: SqlLimits; where: string; record: SqlRecord | undefined },
    work: (session: PostgresSession) => Promise<T>,
  ): Promise<T> {
    if (record !== undefined) return await this.#writeOnce({ limits, where, record }, work);
    return await this.#connections.use({ use: 'write', limits }, async (session) => {
      const result = await work(session);
      await session.commit(where);
      return result;
    });
  }

  /**
   * Takes the record before the work, so that another who wants it waits until this transaction has ended. A table that was
   * dropped is made anew, once.
   */
  async #writeOnce<T>(
    { limits, where, record, isSecondTry = false }: WriteOnce,
    work: (session: PostgresSession) => Promise<T>,
  ): Promise<T> {
    this.#ledger ??= await this.#findLedger(limits);
    const ledger = this.#ledger;
    try {
      return await this.#connections.use(
        { use: 'write', limits, first: [takeCommand(ledger, record)] },
        async (session, taken) => {
          if (taken?.rowCount === 0) return await readOutcome<T>(session, { ledger, record, where });
          const result = await work(session);
          await session.commit(where, [this.#upkeep.keepCommand(ledger, record, result)]);
          return result;
        },
      );
    } catch (error) {
      if (!(error instanceof TableMissing) || isSecondTry) throw error;
    }
    this.#ledger = undefined;
    return await this.#writeOnce({ limits, where, record, isSecondTry: true }, work);
  }

  async #findLedger(limits: SqlLimits): Promise<LedgerPlace> {
    const where = `database "${this.name}"`;
    const find = () => this.#connections.use({ use: 'write', limits }, (session) => findLedger(session, where));
    for (let round = 1; ; round += 1) {
      const found = await find();
      if (found !== undefined) return found;
      if (round === MAX_LEDGER_ROUNDS) {
        throw retryable(
          'BLW_SQL_UNAVAILABLE',
          `${where}: the table ${LEDGER_TABLE} was made and is not to be seen yet`,
        );
      }
      await this.#connections.use({ use: 'write', limits }, (session) => makeLedger(session, where));
    }
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  #place(where: string): string {
    return `database "${this.name}", ${where}`;
  }
}

async function readOutcome<T>(
  session: PostgresSession,
  { ledger, record, where }: { ledger: LedgerPlace; record: SqlRecord; where: string },
): Promise<T> {
  const [row] = (await session.command(readCommand(ledger, record), where)).rows;
  if (typeof row?.result === 'string') return readRecorded<T>(row.result);
  // Its row was removed between the two statements.
  throw retryable('BLW_SQL_UNAVAILABLE', `${where}: the record of the step in ${LEDGER_TABLE} was removed just now`);
}

function bindAllowed(use: StatementUse, statement: SqlStatement, where: string): BoundStatement {
  const bound = bindStatement('postgres', statement, where);
  requireAllowed('postgres', use, bound, where);
  return bound;
}
