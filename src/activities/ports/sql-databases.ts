import type { Json, JsonObject } from '../../dsl/json';
import type { Fence } from '../fence';
import type { SqlRecord } from './sql-ledger';

/** A statement with its values: an object for `:name`, an array for `?`. */
export interface SqlStatement {
  readonly statement: string;
  readonly parameters?: JsonObject | Json[];
}

export interface SqlRows {
  readonly columns: string[];
  readonly rows: JsonObject[];
  readonly truncated: boolean;
}

export interface SqlChange {
  readonly rowsAffected: number;
  readonly lastInsertId?: number;
}

/** How far a call may go. */
export interface SqlLimits {
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  /** Asked before a transaction that writes, and before its COMMIT; absent: nobody else can have taken over. */
  readonly fence?: Fence;
}

/** One configured database. Throws BlockFailure with the BLW_SQL_ codes. */
export interface SqlDatabase {
  readonly kind: 'sqlite' | 'postgres';
  /** Runs read-only. */
  query(statement: SqlStatement, maxRows: number, limits: SqlLimits): Promise<SqlRows>;
  /**
   * With a record, the database remembers under it what the call gave, in the call's own transaction: another call with the same
   * record gives that and does nothing, also where it comes while the first is under way. BLW_SQL_LEDGER where it cannot.
   */
  execute(statement: SqlStatement, limits: SqlLimits, record?: SqlRecord): Promise<SqlChange>;
  /** All or nothing; `record` as for `execute`. */
  transaction(
    statements: readonly SqlStatement[],
    limits: SqlLimits,
    record?: SqlRecord,
  ): Promise<Array<SqlChange & { rows?: JsonObject[] }>>;
  close(): Promise<void>;
}

/** The worker's databases by name. */
export interface SqlDatabases {
  /**
   * The tenant's own database of that name, or else that of all. Throws BLW_SQL_DATABASE_UNKNOWN (not retryable) with the names
   * that there are for the tenant.
   */
  get(name: string, tenant: string): SqlDatabase;
  close(): Promise<void>;
}
