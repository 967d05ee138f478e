import { type Json, type JsonObject, setOwn } from '../../dsl/json';
import { type BlockFailure, notRetryable, retryable } from '../block-failure';
import { findDepthExcess } from '../json-excess';
import type { SqlLimits } from './sql-databases';

/**
 * Most bytes that the rows of one call may take as JSON: Temporal refuses payloads of 2 MiB, and the rest of the
 * output needs room too.
 */
export const MAX_RESULT_BYTES = 1_572_864;

/** Rows that a statement inside of a transaction hands back at most; part of what `sql.transaction` promises. */
export const MAX_TRANSACTION_ROWS = 1_000;

/** What timers and PostgreSQL's settings can hold, both 32 bits; 23 days. */
const MAX_MS = 2_000_000_000;

/** Milliseconds until then, 0 where it has passed, and at most as many as a timer can hold. */
export function msUntil(deadline: number): number {
  return Math.min(MAX_MS, Math.max(0, deadline - Date.now()));
}

/** Milliseconds left, see {@link msUntil}. Throws `signal.reason` once cancelled, BLW_SQL_TIMEOUT (retryable) once the time is up. */
export function requireTimeLeft({ signal, deadline }: SqlLimits): number {
  signal.throwIfAborted();
  const left = msUntil(deadline);
  if (left === 0) throw sqlTimeout();
  return left;
}

/** The failure of a statement that was stopped at the step's deadline. */
export function sqlTimeout(detail = 'the statement was stopped when the time of the step was up'): BlockFailure {
  return retryable('BLW_SQL_TIMEOUT', `${detail}; raise the timeout of the step, or add an index`);
}

/** Collects rows as objects and refuses more of them than fit into a flow's history. */
export class RowCollector {
  readonly rows: JsonObject[] = [];

  /** `budget` is shared by the statements of one call; `where` names the statement in messages. */
  constructor(
    private readonly columns: readonly string[],
    private readonly budget: ResultBudget,
    private readonly where: string,
  ) {}

  add(values: readonly Json[]): void {
    const row: JsonObject = {};
    for (const [index, column] of this.columns.entries()) {
      const value = values[index] ?? null;
      const excess = findDepthExcess(value);
      if (excess !== undefined) {
        throw notRetryable('BLW_SQL_STATEMENT', `${this.where}: column "${column}" has JSON ${excess}`);
      }
      setOwn(row, column, value);
    }
    this.budget.take(row);
    this.rows.push(row);
  }
}

/** Counts the bytes of a call's rows. */
export class ResultBudget {
  #bytes = 0;

  /** Throws BLW_RESULT_TOO_LARGE, not retryable, where the row is the one too many. */
  take(row: JsonObject): void {
    this.#bytes += Buffer.byteLength(JSON.stringify(row)) + 1;
    if (this.#bytes > MAX_RESULT_BYTES) throw resultTooLarge();
  }
}

/** The failure of a call whose rows do not fit into a flow's history. */
export function resultTooLarge(): BlockFailure {
  const detail = `the rows take more than ${MAX_RESULT_BYTES} bytes as JSON`;
  return notRetryable('BLW_RESULT_TOO_LARGE', `${detail}; select fewer columns, or fewer rows with WHERE or maxRows`);
}

/** Throws BLW_SQL_STATEMENT where two columns have one name, since one would hide the other. */
export function requireDistinctColumns(columns: readonly string[], where: string): void {
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice === undefined) return;
  throw notRetryable('BLW_SQL_STATEMENT', `${where} returns two columns named "${twice}"; name them apart with AS`);
}
