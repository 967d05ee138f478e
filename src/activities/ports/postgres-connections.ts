import pg from 'pg';
import { FlowError } from '../../dsl/errors';
import { backendOf, endBackend } from './postgres-cancel';
import { connectFailure, sqlStateOf } from './postgres-failure';
import { PostgresSession } from './postgres-session';
import type { SqlLimits } from './sql-databases';
import { requireTimeLeft } from './sql-limits';

/** Connections of one worker process to one database; PostgreSQL's own default allows 100 in all. */
const MAX_CONNECTIONS = 8;

/** Longest wait for a connection, new or used. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A connection that is not clean by then is thrown away. */
const RECYCLE_TIMEOUT_MS = 5_000;

/** A connection in use. */
interface OpenSession {
  readonly client: pg.PoolClient;
  readonly session: PostgresSession;
  /** What came of the first thing that was done in its transaction. */
  readonly begun?: pg.QueryResult | undefined;
}

export interface SessionWanted {
  readonly use: 'query' | 'write';
  readonly limits: SqlLimits;
  /** Statements of the worker's own that begin the transaction. */
  readonly first?: readonly string[];
}

/** A table that the first statements of a transaction name is not there. */
export class TableMissing extends Error {}

/** The connections to one database: each call gets a session without leftovers of other calls. */
export class PostgresConnections {
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

  /** Does work in a transaction of its own, which is rolled back unless the work commits it. Throws {@link TableMissing}. */
  async use<T>(
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
      if (first !== undefined && sqlStateOf(error) === TABLE_MISSING) throw new TableMissing();
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

  async close(): Promise<void> {
    this.#closing.abort();
    // What was stopped has to be ended on the server, too, which takes a connection.
    await Promise.all(this.#recycling);
    if (!this.#pool.ending) await this.#pool.end();
    await Promise.all(this.#recycling);
  }
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
