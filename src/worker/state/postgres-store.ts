import pg from 'pg';
import { FlowError } from '../../dsl/errors';
import { query, type Rule, type Statement, type StateRow, type StateValue } from './rule';
import { ensureSchema } from './schema';
import { type RunOptions, type StateStore, StateStoreUnavailable } from './state-store';
import { TenantLanes } from './tenant-lanes';

/** Connections of one worker process; of one tenant there are three at most (tenant-lanes.ts). */
const MAX_CONNECTIONS = 8;

const CONNECT_TIMEOUT_MS = 3_000;
/** Of one statement, waiting for another's lock included. */
const STATEMENT_TIMEOUT_MS = 3_000;
/** Shorter than steps wait for the store; and of who only tries whether a lock is free by now. */
const LOCK_TIMEOUT_MS = 1_500;
const TRIAL_LOCK_TIMEOUT_MS = 300;
/** Of a worker that stands still within a transaction: its locks go with it. */
const IDLE_TRANSACTION_MS = 10_000;

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

interface TransactionOptions extends RunOptions {
  readonly isTrial?: boolean;
}

class PostgresStore implements StateStore {
  readonly #pool: pg.Pool;
  readonly #lanes = new TenantLanes();
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
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS,
      // For a server that does not answer at all any more.
      query_timeout: STATEMENT_TIMEOUT_MS * 2,
      keepAlive: true,
      fallback_application_name: 'beamline-worker state',
      types: { getTypeParser: typeParser },
    });
    // The pool has dropped the connection already; the next call makes a new one, and reports if it cannot.
    this.#pool.on('error', () => undefined);
  }

  async run<T>(rule: () => Rule<T>, options: RunOptions = {}): Promise<T> {
    const { tenant } = options;
    if (tenant === undefined) return await this.#run(rule, options);
    return await this.#lanes.run(tenant, (isTrial) => this.#run(rule, { ...options, isTrial }));
  }

  async #run<T>(rule: () => Rule<T>, options: TransactionOptions): Promise<T> {
    try {
      this.#hasSchema ??= this.#transact(() => alone(ensureSchema));
      await this.#hasSchema.catch((error: unknown) => {
        this.#hasSchema = undefined;
        throw error instanceof FlowError ? error : new StateStoreUnavailable(error);
      });
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#transact(rule, options);
        } catch (error) {
          if (tries === MAX_TRIES || !isConflict(error)) throw error;
        }
      }
    } catch (error) {
      throw explain(error);
    }
  }

  /**
   * A round trip for each statement whose rows are looked at, and one for the end: whatever else there is goes along with these.
   * Measured on loopback, a step's lease and usage took 2.9 ms with a round trip for every statement.
   */
  async #transact<T>(rule: () => Rule<T>, { mayBeLost, isReading, isTrial }: TransactionOptions = {}): Promise<T> {
    const client = await this.#pool.connect();
    // A connection that breaks fails what was sent on it, and says so once more: to nobody, it would end the process.
    client.on('error', ignoreBroken);
    let isClean = false;
    try {
      const pending = [isReading === true ? 'BEGIN READ ONLY' : 'BEGIN'];
      // Waiting for the disk is most of what a transaction takes, and the tenant's row is locked meanwhile.
      if (mayBeLost === true) pending.push('SET LOCAL synchronous_commit TO off');
      if (isTrial === true) pending.push(`SET LOCAL lock_timeout TO ${TRIAL_LOCK_TIMEOUT_MS}`);
      const running = rule();
      let step = running.next();
      while (step.done !== true) {
        pending.push(this.#text(step.value));
        step = running.next(step.value.isBlind === true ? [] : await send(client, pending.splice(0)));
      }
      await send(client, [...pending, 'COMMIT']);
      isClean = true;
      return step.value;
    } finally {
      // A connection on which something failed is thrown away, and PostgreSQL rolls back.
      if (isClean) client.off('error', ignoreBroken);
      client.release(!isClean);
    }
  }

  /** With its values as literals: only so can several statements be one message. */
  #text({ sql, values }: Statement): string {
    const clock = this.clock === undefined ? CLOCK : `${Math.round(this.clock())}::bigint`;
    let index = 0;
    return sql.replaceAll('now_ms()', clock).replace(/\?/g, () => literal(values[index++]));
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

function ignoreBroken(): void {}

/** Sends statements as one message; gives the rows of the last. */
async function send(client: pg.PoolClient, statements: readonly string[]): Promise<readonly StateRow[]> {
  const answer = (await client.query<StateRow>(statements.join(';\n'))) as
    | pg.QueryResult<StateRow>
    | pg.QueryResult<StateRow>[];
  return Array.isArray(answer) ? (answer.at(-1)?.rows ?? []) : answer.rows;
}

/** A value as PostgreSQL reads it; it can end neither the literal nor the statement. */
function literal(value: StateValue | undefined): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number' && Number.isFinite(value)) return `(${value})`;
  if (typeof value === 'string' && !value.includes('\0')) return pg.escapeLiteral(value);
  throw new TypeError(`a ${typeof value} that cannot be kept in the state store`);
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
  return ['40P01', '40001'].includes(codeOf(error));
}

/** What a caller is to make of it: try again later, alone or as all others; or nothing, since the rule is wrong. */
function explain(error: unknown): unknown {
  const isKnown = error instanceof FlowError || error instanceof StateStoreUnavailable;
  if (isKnown || isMistake(error)) return error;
  // query_canceled, by the statement's timeout; lock_not_available.
  const isOwn = isConflict(error) || ['57014', '55P03'].includes(codeOf(error));
  return new StateStoreUnavailable(error, isOwn ? 'call' : 'store');
}

/** Data or SQL that PostgreSQL will never take (classes 22, 23, 42 but for a missing privilege), or an error of this program. */
function isMistake(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(?:22|23|42(?!501))/.test(codeOf(error));
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

function codeOf(error: unknown): string {
  return error instanceof Error ? String((error as { code?: unknown }).code) : '';
}
