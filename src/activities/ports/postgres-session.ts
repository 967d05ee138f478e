import { DatabaseError, type PoolClient, type QueryResult } from 'pg';
import Cursor from 'pg-cursor';
import type { Json, JsonObject } from '../../dsl/json';
import { requestCancel } from './postgres-cancel';
import { outcomeUnknown, postgresFailure } from './postgres-failure';
import { POSTGRES_TYPES, SESSION_FORMATS, UNPARSED_TYPES } from './postgres-types';
import type { SqlLimits } from './sql-databases';
import {
  msUntil,
  type ResultBudget,
  RowCollector,
  requireDistinctColumns,
  requireTimeLeft,
  resultTooLarge,
  sqlTimeout,
} from './sql-limits';
import type { BoundStatement } from './sql-parameters';

/** Rows fetched per round trip. */
const BATCH_ROWS = 500;

/**
 * Bytes on the wire after which a call is stopped, so that rows nobody can use do not fill the worker's memory.
 * A result within MAX_RESULT_BYTES never reaches the smaller one: the wire's form of a value is at most twice its JSON.
 */
const MAX_WIRE_BYTES = { query: 8 * 1024 * 1024, write: 64 * 1024 * 1024 };

/**
 * The server stops a statement at the deadline; where it does not, the client does, this much later. Before a child process
 * is ended (block-process-pool.ts), since nobody would be left to stop the statement.
 */
const CLIENT_GRACE_MS = 50;

/** Longest wait for a lock; a step that waits longer is better tried again than kept. */
const MAX_LOCK_MS = 10_000;

/** What a statement did. */
export interface StatementResult {
  readonly columns: string[];
  readonly rows: JsonObject[];
  /** There were more rows than were asked for. */
  readonly truncated: boolean;
  readonly rowsAffected: number;
}

/** Which rows of a statement are kept. */
export interface KeepRows {
  readonly maxRows: number;
  /** Run the statement to its end for its effects, and drop the rows beyond `maxRows`; else stop there. */
  readonly toTheEnd: boolean;
  readonly budget: ResultBudget;
  /** Names the statement in messages. */
  readonly where: string;
}

/** One transaction on one connection, watched: cancellation, deadline and a flood of rows stop it. */
export class PostgresSession {
  #stop: { failure: () => unknown; cancelled: Promise<void> } | undefined;
  readonly #startBytes: number;
  readonly #stream: NodeJS.ReadableStream & { readonly bytesRead?: number; destroy(): void };
  readonly #maxWireBytes: number;
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly client: PoolClient,
    private readonly limits: SqlLimits,
    private readonly use: 'query' | 'write',
  ) {
    this.#stream = client.connection.stream;
    this.#startBytes = this.#stream.bytesRead ?? 0;
    this.#maxWireBytes = MAX_WIRE_BYTES[use];
    this.#stream.on('data', this.#onData);
    limits.signal.addEventListener('abort', this.#onAbort);
    const lifeMs = msUntil(limits.deadline) + CLIENT_GRACE_MS;
    this.#timer = setTimeout(() => this.#stopNow(() => sqlTimeout()), lifeMs);
  }

  /** Ends the watch. Resolves when a cancel request that was sent is through. */
  async unwatch(): Promise<void> {
    clearTimeout(this.#timer);
    this.limits.signal.removeEventListener('abort', this.#onAbort);
    this.#stream.off('data', this.#onData);
    await this.#stop?.cancelled;
  }

  /** True where the connection was destroyed on purpose. */
  get isStopped(): boolean {
    return this.#stop !== undefined;
  }

  /** Starts the transaction with its limits, in one round trip; `first` is done in it, too, and what it gives is given. */
  async begin(where: string, first: readonly string[] = []): Promise<QueryResult> {
    const left = Math.ceil(requireTimeLeft(this.limits));
    const commands = [
      this.use === 'query' ? 'BEGIN READ ONLY' : 'BEGIN',
      `SET LOCAL statement_timeout = ${left}`,
      `SET LOCAL lock_timeout = ${Math.ceil(Math.min(MAX_LOCK_MS, left * 0.8))}`,
      // Where this process stalls, its locks do not outlive the step for long.
      `SET LOCAL idle_in_transaction_session_timeout = ${left + 5_000}`,
      ...SESSION_FORMATS,
      ...first,
    ];
    return await this.#guard(where, () => this.#send(commands));
  }

  /** Runs statements of the worker's own, and gives what the last one gave. */
  async command(text: string, where: string): Promise<QueryResult> {
    return await this.#guard(where, () => this.#send([text]));
  }

  /** Several statements give several results. */
  async #send(commands: readonly string[]): Promise<QueryResult> {
    const results: QueryResult | QueryResult[] = await this.client.query(commands.join('; '));
    const last = Array.isArray(results) ? results.at(-1) : results;
    if (last === undefined) throw new Error('node-postgres gave no result');
    return last;
  }

  /** Runs one statement, in batches of rows. */
  async run(bound: BoundStatement, keep: KeepRows): Promise<StatementResult> {
    requireTimeLeft(this.limits);
    return this.#guard(keep.where, async () => {
      const types = keep.maxRows === 0 ? UNPARSED_TYPES : POSTGRES_TYPES;
      const config = { rowMode: 'array', types } as const;
      const cursor = this.client.query(new Cursor<Json[]>(bound.text, bound.values, config));
      return this.#readCursor(cursor, keep);
    });
  }

  async #readCursor(cursor: Cursor<Json[]>, keep: KeepRows): Promise<StatementResult> {
    const { maxRows, toTheEnd, budget, where } = keep;
    let collector: RowCollector | undefined;
    let seen = 0;
    for (;;) {
      const wanted = toTheEnd ? BATCH_ROWS : Math.min(BATCH_ROWS, maxRows + 1 - seen);
      const { rows, result } = await readBatch(cursor, wanted);
      const isDone = rows.length < wanted;
      seen += rows.length;
      try {
        const columns = result.fields.map((field) => field.name);
        if (collector === undefined) requireDistinctColumns(columns, where);
        collector ??= new RowCollector(columns, budget, where);
        const room = maxRows - collector.rows.length;
        for (const values of rows.slice(0, room)) collector.add(values);
        const truncated = seen > maxRows;
        if (isDone || (truncated && !toTheEnd)) {
          if (!isDone) await this.#closeCursor(cursor);
          return { columns, rows: collector.rows, truncated, rowsAffected: countAffected(result, seen) };
        }
      } catch (error) {
        if (!isDone) await this.#closeCursor(cursor);
        throw error;
      }
    }
  }

  /** pg-cursor waits for an answer that does not come where the connection is lost. */
  async #closeCursor(cursor: Cursor<Json[]>): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onEnd = (): void => reject(new Error('Connection terminated'));
      this.client.once('end', onEnd);
      cursor.close(() => {
        this.client.removeListener('end', onEnd);
        resolve();
      });
    });
  }

  /** Ends the transaction, after `last`; once it returns the effects are durable. */
  async commit(where: string, last: readonly string[] = []): Promise<void> {
    await this.limits.fence?.confirm();
    requireTimeLeft(this.limits);
    try {
      await this.#send([...last, 'COMMIT']);
    } catch (error) {
      this.limits.signal.throwIfAborted();
      throw saysRolledBack(error) ? postgresFailure(error, `${where}, commit`) : outcomeUnknown(where);
    }
  }

  async #guard<T>(where: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#stop === undefined ? postgresFailure(error, where) : this.#stop.failure();
    }
  }

  readonly #onAbort = (): void => this.#stopNow(() => this.limits.signal.reason);

  readonly #onData = (): void => {
    const bytes = (this.#stream.bytesRead ?? 0) - this.#startBytes;
    if (bytes > this.#maxWireBytes) this.#stopNow(resultTooLarge);
  };

  /** Whatever is waiting on the connection fails at once; the server is told beside it. */
  #stopNow(failure: () => unknown): void {
    if (this.#stop !== undefined) return;
    this.#stop = { failure, cancelled: requestCancel(this.client) };
    this.#stream.destroy();
  }
}

function readBatch(cursor: Cursor<Json[]>, wanted: number): Promise<{ rows: Json[][]; result: QueryResult }> {
  return new Promise((resolve, reject) => {
    cursor.read(wanted, (error, rows, result) => {
      if (error) reject(error);
      else resolve({ rows, result });
    });
  });
}

/** True for an error that is the answer to COMMIT, and not of a server or connection that broke down over it. */
function saysRolledBack(error: unknown): boolean {
  return error instanceof DatabaseError && !/^(08|57P|58|F0|XX)/.test(error.code ?? 'XX');
}

/**
 * The server counts rows that SELECT reads too, and after several batches only those of the last; RETURNING returns a row for
 * each that was written.
 */
function countAffected({ command, fields, rowCount }: QueryResult, seen: number): number {
  if (fields.length === 0) return rowCount ?? 0;
  return command === 'SELECT' ? 0 : seen;
}
