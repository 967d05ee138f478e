import pg from 'pg';
import { FlowError } from '../../dsl/errors';
import type { JsonObject } from '../../dsl/json';
import { backendOf, endBackend } from './postgres-cancel';
import { connectFailure } from './postgres-failure';
import { type KeepRows, PostgresSession } from './postgres-session';
import type { SqlChange, SqlDatabase, SqlLimits, SqlRows, SqlStatement } from './sql-databases';
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
export function openPostgresDatabase({ name, url }: { name: string; url: string }): SqlDatabase {
  return new PostgresDatabase(name, url);
}

/** A connection in use. */
interface OpenSession {
  readonly client: pg.PoolClient;
  readonly session: PostgresSession;
}

class PostgresDatabase implements SqlDatabase {
  readonly kind = 'postgres';
  readonly #pool: pg.Pool;
  /** Connections that are being cleaned after use. */
  readonly #recycling = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(
    private readonly name: string,
    url: string,
  ) {
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
    return this.#withSession('query', limits, async (session) => {
      const { columns, rows, truncated } = await session.run(bound, keep);
      return { columns, rows, truncated };
    });
  }

  async execute(statement: SqlStatement, limits: SqlLimits): Promise<SqlChange> {
    const where = this.#place('statement');
    const bound = bindAllowed('execute', statement, where);
    const keep: KeepRows = { maxRows: 0, toTheEnd: true, budget: new ResultBudget(), where };
    return this.#withSession('write', limits, async (session) => {
      const { rowsAffected } = await session.run(bound, keep);
      await session.commit(where);
      return { rowsAffected };
    });
  }

  async transaction(statements: readonly SqlStatement[], limits: SqlLimits): Promise<TransactionResult[]> {
    const budget = new ResultBudget();
    const work = statements.map((statement, index) => {
      const where = this.#place(`statement ${index + 1} of ${statements.length}`);
      const keep: KeepRows = { maxRows: MAX_TRANSACTION_ROWS, toTheEnd: true, budget, where };
      return { bound: bindAllowed('transaction', statement, where), keep };
    });
    return this.#withSession('write', limits, async (session) => {
      const results: TransactionResult[] = [];
      for (const { bound, keep } of work) {
        const { columns, rows, rowsAffected } = await session.run(bound, keep);
        results.push(columns.length === 0 ? { rowsAffected } : { rowsAffected, rows });
      }
      await session.commit(this.#place('transaction'));
      return results;
    });
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
    use: 'query' | 'write',
    limits: SqlLimits,
    work: (session: PostgresSession) => Promise<T>,
  ): Promise<T> {
    const opened = await this.#openSession(use, limits);
    try {
      return await work(opened.session);
    } finally {
      this.#giveBack(opened);
    }
  }

  /** A session with its transaction begun. One that had died while it was idle is replaced, since nothing was done yet. */
  async #openSession(use: 'query' | 'write', limits: SqlLimits, isSecondTry = false): Promise<OpenSession> {
    const client = await this.#connect(limits);
    client.on('error', ignoreLoss);
    const opened = { client, session: new PostgresSession(client, limits, use) };
    try {
      await opened.session.begin(`database "${this.name}"`);
      return opened;
    } catch (error) {
      this.#giveBack(opened);
      const isLost = error instanceof FlowError && error.data.code === 'BLW_SQL_UNAVAILABLE';
      if (!isLost || isSecondTry) throw error;
    }
    return this.#openSession(use, limits, true);
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
