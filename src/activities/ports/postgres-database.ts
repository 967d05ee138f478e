import pg from 'pg';
import { FlowError } from '../../dsl/errors';
import type { JsonObject } from '../../dsl/json';
import { retryable } from '../block-failure';
import { backendOf, endBackend } from './postgres-cancel';
import { connectFailure, sqlStateOf } from './postgres-failure';
import { findLedger, type LedgerPlace, LedgerUpkeep, makeLedger, readCommand, takeCommand } from './postgres-ledger';
import { type KeepRows, PostgresSession } from './postgres-session';
import type { SqlChange, SqlDatabase, SqlLimits, SqlRows, SqlStatement } from './sql-databases';
import {
  DEFAULT_LEDGER_RETENTION_MS,
  LEDGER_TABLE,
  type LedgerRules,
  readRecorded,
  type SqlRecord,
} from './sql-ledger';
import { MAX_TRANSACTION_ROWS, ResultBudget, requireTimeLeft } from './sql-limits';
import { type BoundStatement, bindStatement } from './sql-parameters';
import { requireAllowed, type StatementUse } from './sql-policy';

/** Connections of one worker process to one database; PostgreSQL's own default allows 100 in all. */
const MAX_CONNECTIONS = 8;

/** Longest wait for a connection, new or used. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A connection that is not clean by then is thrown away. */
const RECYCLE_TIMEOUT_MS = 5_000;

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

/** A connection in use. */
interface OpenSession {
  readonly client: pg.PoolClient;
  readonly session: PostgresSession;
  /** What came of the first thing that was done in its transaction. */
  readonly begun?: pg.QueryResult | undefined;
}

interface SessionWanted {
  readonly use: 'query' | 'write';
  readonly limits: SqlLimits;
  /** Statements of the worker's own that begin the transaction. */
  readonly first?: readonly string[];
}

interface WriteOnce {
  readonly limits: SqlLimits;
  readonly where: string;
  readonly record: SqlRecord;
  readonly isSecondTry?: boolean;
}

/** The table that was found before is not there any more. */
class LedgerGone extends Error {}

/** Times that the table is looked for; it is made in between. */
const MAX_LEDGER_ROUNDS = 3;

class PostgresDatabase implements SqlDatabase {
  readonly kind = 'postgres';
  readonly #pool: pg.Pool;
  /** Connections that are being cleaned after use. */
  readonly #recycling = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #upkeep: LedgerUpkeep;
  /** Once it has been found. */
  #ledger: LedgerPlace | undefined;

  constructor(
    private readonly name: string,
    url: string,
    ledger: LedgerRules,
  ) {
    this.#upkeep = new LedgerUpkeep(ledger);
    this.#pool = new pg.Pool({
      connectionString: url,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      fallback_application_name: 'beamline-worker',
    });
    // The pool has dropped the connection already; the next call makes a new one, and reports if it cannot.
    this.#pool.on('error', () => undefined);
  }

  async query(statement: SqlStatement, maxRows: number, limits: SqlLimits): Promise<SqlRows> {
    const where = this.#place('statement');
    const bound = bindAllowed('query', statement, where);
    const keep: KeepRows = { maxRows, toTheEnd: false, budget: new ResultBudget(), where };
    return this.#withSession({ use: 'query', limits }, async (session) => {
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
    return await this.#withSession({ use: 'write', limits }, async (session) => {
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
      return await this.#withSession(
        { use: 'write', limits, first: [takeCommand(ledger, record)] },
        async (session, taken) => {
          if (taken?.rowCount === 0) return await readOutcome<T>(session, { ledger, record, where });
          const result = await work(session);
          await session.commit(where, [this.#upkeep.keepCommand(ledger, record, result)]);
          return result;
        },
      );
    } catch (error) {
      if (!(error instanceof LedgerGone) || isSecondTry) throw error;
    }
    this.#ledger = undefined;
    return await this.#writeOnce({ limits, where, record, isSecondTry: true }, work);
  }

  async #findLedger(limits: SqlLimits): Promise<LedgerPlace> {
    const where = `database "${this.name}"`;
    const find = () => this.#withSession({ use: 'write', limits }, (session) => findLedger(session, where));
    for (let round = 1; ; round += 1) {
      const found = await find();
      if (found !== undefined) return found;
      if (round === MAX_LEDGER_ROUNDS) {
        throw retryable(
          'BLW_SQL_UNAVAILABLE',
          `${where}: the table ${LEDGER_TABLE} was made and is not to be seen yet`,
        );
      }
      await this.#withSession({ use: 'write', limits }, (session) => makeLedger(session, where));
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    // What was stopped has to be ended on the server, too, which takes a connection.
    await Promise.all(this.#recycling);
    if (!this.#pool.ending) await this.#pool.end();
    await Promise.all(this.#recycling);
  }

  #place(where: string): string {
    return `database "${this.name}", ${where}`;
  }

  async #withSession<T>(
    wanted: SessionWanted,
    work: (session: PostgresSession, begun: pg.QueryResult | undefined) => Promise<T>,
  ): Promise<T> {
    const opened = await this.#openSession(wanted);
    try {
      return await work(opened.session, opened.begun);
    } finally {
      this.#giveBack(opened);
    }
  }

  /** A session with its transaction begun. One that had died while it was idle is replaced, since nothing was done yet. */
  async #openSession(wanted: SessionWanted, isSecondTry = false): Promise<OpenSession> {
    const { use, limits, first } = wanted;
    const client = await this.#connect(limits);
    client.on('error', ignoreLoss);
    const session = new PostgresSession(client, limits, use);
    try {
      return { client, session, begun: await session.begin(`database "${this.name}"`, first) };
    } catch (error) {
      this.#giveBack({ client, session });
      if (first !== undefined && sqlStateOf(error) === TABLE_MISSING) throw new LedgerGone();
      const isLost = error instanceof FlowError && error.data.code === 'BLW_SQL_UNAVAILABLE';
      if (!isLost || sqlStateOf(error) === LOCK_TIMEOUT || isSecondTry) throw error;
    }
    return this.#openSession(wanted, true);
  }

  #giveBack(opened: OpenSession): void {
    const recycling = this.#recycle(opened).finally(() => this.#recycling.delete(recycling));
    this.#recycling.add(recycling);
  }

  /** Waits for a connection no longer than the step has time; one that comes too late goes back to the pool. */
  async #connect(limits: SqlLimits): Promise<pg.PoolClient> {
    const left = requireTimeLeft(limits);
    const connecting = this.#pool.connect();
    const giveUp = new AbortController();
    const stop = (): void => giveUp.abort(limits.signal.reason);
    const timer = setTimeout(() => giveUp.abort(new Error('no connection was free before the time was up')), left);
    limits.signal.addEventListener('abort', stop);
    try {
      return await Promise.race([connecting, rejectOnAbort(giveUp.signal)]);
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => undefined,
      );
      limits.signal.throwIfAborted();
      throw connectFailure(error, `database "${this.name}"`);
    } finally {
      clearTimeout(timer);
      limits.signal.removeEventListener('abort', stop);
    }
  }

  /**
   * Gives a connection back without what a step left in its session: an open transaction, settings, advisory locks,
   * temporary tables. Runs beside the step, which does not wait for it. Never rejects.
   */
  async #recycle({ client, session }: OpenSession): Promise<void> {
    const timer = setTimeout(() => client.connection.stream.destroy(), RECYCLE_TIMEOUT_MS);
    try {
      await session.unwatch();
      if (!session.isStopped) {
        if (client.getTransactionStatus() !== 'I') await client.query('ROLLBACK');
        await client.query('DISCARD ALL');
      }
      client.release(session.isStopped);
    } catch (error) {
      client.release(error instanceof Error ? error : true);
    } finally {
      clearTimeout(timer);
      client.off('error', ignoreLoss);
    }
    const backend = backendOf(client);
    if (session.isStopped && backend !== undefined) await endBackend(this.#pool, backend, this.#closing.signal);
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

const TABLE_MISSING = '42P01';
const LOCK_TIMEOUT = '55P03';

/** Losing the connection shows in the query that waits for it; without a listener it would end the process. */
function ignoreLoss(): void {}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function bindAllowed(use: StatementUse, statement: SqlStatement, where: string): BoundStatement {
  const bound = bindStatement('postgres', statement, where);
  requireAllowed('postgres', use, bound, where);
  return bound;
}
