import pg from 'pg';
import { FlowError } from '../../dsl/errors';
import { query, type Rule, type Statement, type StateRow } from './rule';
import { ensureSchema } from './schema';
import { type StateStore, StateStoreUnavailable } from './state-store';

/** Connections of one worker process. Transactions of one tenant follow each other anyway. */
const MAX_CONNECTIONS = 4;

const CONNECT_TIMEOUT_MS = 3_000;
/** Of one statement, waiting for another's lock included. */
const STATEMENT_TIMEOUT_MS = 3_000;

/** Times that a transaction is tried where PostgreSQL ends it because of others (deadlock, serialization). */
const MAX_TRIES = 5;

/** Its type's number is PostgreSQL's (pg_type.oid); the values here fit a double. */
const INT8 = 20;

/** Key of the advisory lock under which the tables are made: "blw state" in some form. */
const SCHEMA_LOCK = 7_236_511_402;

/** The store's clock, the same for all machines. */
const CLOCK = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

/** A state store in a PostgreSQL database, for workers on several machines. Tables `beamline_…` in the search path's first schema. */
export function openPostgresStore(url: string, clock?: () => number): StateStore {
  return new PostgresStore(url, clock);
}

class PostgresStore implements StateStore {
  readonly #pool: pg.Pool;
  readonly #texts = new Map<string, string>();
  #hasSchema: Promise<void> | undefined;

  constructor(
    url: string,
    private readonly clock: (() => number) | undefined,
  ) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: MAX_CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      // For a server that does not answer at all any more.
      query_timeout: STATEMENT_TIMEOUT_MS * 2,
      keepAlive: true,
      fallback_application_name: 'beamline-worker state',
      types: { getTypeParser: typeParser },
    });
    // The pool has dropped the connection already; the next call makes a new one, and reports if it cannot.
    this.#pool.on('error', () => undefined);
  }

  async run<T>(rule: () => Rule<T>): Promise<T> {
    try {
      this.#hasSchema ??= this.#transact(() => alone(ensureSchema));
      await this.#hasSchema.catch((error: unknown) => {
        this.#hasSchema = undefined;
        throw error;
      });
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#transact(rule);
        } catch (error) {
          if (tries === MAX_TRIES || !isConflict(error)) throw error;
        }
      }
    } catch (error) {
      throw error instanceof FlowError ? error : new StateStoreUnavailable(error);
    }
  }

  async #transact<T>(rule: () => Rule<T>): Promise<T> {
    const client = await this.#pool.connect();
    let isClean = false;
    try {
      await client.query('BEGIN');
      const result = await this.#drive(client, rule());
      await client.query('COMMIT');
      isClean = true;
      return result;
    } finally {
      // A connection on which something failed is thrown away, and PostgreSQL rolls back.
      client.release(!isClean);
    }
  }

  async #drive<T>(client: pg.PoolClient, rule: Rule<T>): Promise<T> {
    let step = rule.next();
    while (step.done !== true) {
      const { rows } = await client.query<StateRow>(this.#text(step.value), [...step.value.values]);
      step = rule.next(rows);
    }
    return step.value;
  }

  /** In PostgreSQL's words: `$1` for `?`. */
  #text({ sql }: Statement): string {
    let text = this.#texts.get(sql);
    if (text === undefined) {
      let count = 0;
      text = sql.replace(/\?/g, () => `$${++count}`);
      this.#texts.set(sql, text);
    }
    return text.replaceAll('now_ms()', this.clock === undefined ? CLOCK : `${Math.round(this.clock())}::bigint`);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

function typeParser(oid: number, format?: string): (text: string) => unknown {
  if (oid === INT8) return Number;
  return pg.types.getTypeParser(oid, format as 'text');
}

/** Two that make the tables at the same time would else fail on each other. */
function* alone(rule: () => Rule<void>): Rule<void> {
  yield* query('SELECT pg_advisory_xact_lock(?)::text', SCHEMA_LOCK);
  yield* rule();
}

/** deadlock_detected, serialization_failure (PostgreSQL, "Error Codes"). */
function isConflict(error: unknown): boolean {
  return error instanceof Error && ['40P01', '40001'].includes(String((error as { code?: unknown }).code));
}
