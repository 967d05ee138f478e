import type { Json, JsonObject } from '../../dsl/json';

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
}

/** One configured database. Throws BlockFailure with the BLW_SQL_ codes. */
export interface SqlDatabase {
  readonly kind: 'sqlite' | 'postgres';
  /** Runs read-only. */
  query(statement: SqlStatement, maxRows: number, limits: SqlLimits): Promise<SqlRows>;
  execute(statement: SqlStatement, limits: SqlLimits): Promise<SqlChange>;
  /** All or nothing. */
  transaction(
    statements: readonly SqlStatement[],
    limits: SqlLimits,
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
