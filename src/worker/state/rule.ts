/** A value that a statement takes or a column has. */
export type StateValue = string | number | null;

/** One SQL statement that SQLite and PostgreSQL both understand: `?` for values, `now_ms()` for the store's clock. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly StateValue[];
  /** Nobody looks at its rows: it may be sent together with the next. */
  readonly isBlind?: true;
}

/** A row of a result. */
export type StateRow = Readonly<Record<string, StateValue>>;

/**
 * What happens in one transaction: a generator that yields statements and is given their rows. So there is one text of each
 * rule, whether the driver answers at once (SQLite) or later (PostgreSQL). It may be run again after a conflict: no effects
 * beside the statements.
 */
export type Rule<T> = Generator<Statement, T, readonly StateRow[]>;

/** Runs a statement inside a rule: `const rows = yield* query('SELECT …', value)`. The caller names the columns' types. */
export function* query<Row extends object = StateRow>(sql: string, ...values: StateValue[]): Rule<readonly Row[]> {
  return (yield { sql, values }) as unknown as readonly Row[];
}

/** The same, for a statement whose rows nobody needs. */
export function* execute(sql: string, ...values: StateValue[]): Rule<void> {
  yield { sql, values, isBlind: true };
}
