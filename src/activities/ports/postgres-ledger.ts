import pg from 'pg';
import { sqlStateOf } from './postgres-failure';
import type { PostgresSession } from './postgres-session';
import {
  LEDGER_DDL,
  LEDGER_TABLE,
  type LedgerRules,
  ledgerDenied,
  PRUNED_AT_ONCE,
  PruneTurns,
  type SqlRecord,
} from './sql-ledger';

/** Where the table is, and what the role may do with it. */
export interface LedgerPlace {
  /** Quoted, with its schema: what a step does to its search_path changes nothing. */
  readonly name: string;
  readonly mayPrune: boolean;
}

const FIND = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
  has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AS may_use,
  has_table_privilege(c.oid, 'DELETE') AS may_prune
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('${LEDGER_TABLE}')`;

/** What two that make one table at once may see of each other: unique_violation in the catalog, duplicate_table, duplicate_object. */
const MADE_BY_ANOTHER = ['23505', '42P07', '42710'];

/** The role may not, or has no schema to make the table in. */
const MAY_NOT_MAKE = ['42501', '3F000'];

/** The table as a session finds it; undefined where there is none. Throws BLW_SQL_LEDGER where the role may not use it. */
export async function findLedger(session: PostgresSession, where: string): Promise<LedgerPlace | undefined> {
  const [row] = (await session.command(FIND, where)).rows;
  if (row === undefined) return undefined;
  if (row.may_use !== true) {
    const problem = `the role may not use the table ${row.name}`;
    throw ledgerDenied(where, { problem, role: await roleOf(session, where) });
  }
  return { name: String(row.name), mayPrune: row.may_prune === true };
}

/** Makes the table, unless another makes it at this moment; commits. Throws BLW_SQL_LEDGER. */
export async function makeLedger(session: PostgresSession, where: string): Promise<void> {
  const role = await roleOf(session, where);
  try {
    await session.command(LEDGER_DDL.postgres.join('; '), where);
    await session.commit(where);
  } catch (error) {
    const sqlState = sqlStateOf(error) ?? '';
    if (MADE_BY_ANOTHER.includes(sqlState)) return;
    if (!MAY_NOT_MAKE.includes(sqlState)) throw error;
    throw ledgerDenied(where, { problem: `the role may not make the table (SQLSTATE ${sqlState})`, role });
  }
}

async function roleOf(session: PostgresSession, where: string): Promise<string> {
  return String((await session.command('SELECT quote_ident(current_user) AS role', where)).rows[0]?.role);
}

/** Takes the record, as one statement; no row where it is taken. Waits where another transaction has it and has not ended. */
export function takeCommand({ name }: LedgerPlace, { id, step }: SqlRecord): string {
  const values = [id, step].map((text) => pg.escapeLiteral(text)).join(', ');
  return `INSERT INTO ${name} (key, step) VALUES (${values}) ON CONFLICT (key) DO NOTHING RETURNING key`;
}

/** Reads what was recorded. */
export function readCommand({ name }: LedgerPlace, { id }: SqlRecord): string {
  return `SELECT result FROM ${name} WHERE key = ${pg.escapeLiteral(id)}`;
}

/** How often one pool of connections removes old rows, and which. */
export class LedgerUpkeep {
  readonly #turns = new PruneTurns();

  constructor(private readonly rules: LedgerRules) {}

  /** Records what a write gave, and removes old rows where it is time. */
  keepCommand({ name, mayPrune }: LedgerPlace, { id }: SqlRecord, result: unknown): string {
    // NUL, which PostgreSQL's text has not, is an escape sequence in JSON.
    const text = pg.escapeLiteral(JSON.stringify(result));
    const keep = `UPDATE ${name} SET result = ${text} WHERE key = ${pg.escapeLiteral(id)}`;
    if (!mayPrune || !this.#turns.next()) return keep;
    const age = `interval '${Math.ceil(this.rules.retentionMs / 1_000)} seconds'`;
    const old = `SELECT key FROM ${name} WHERE recorded_at < now() - ${age} ORDER BY recorded_at LIMIT ${PRUNED_AT_ONCE} FOR UPDATE SKIP LOCKED`;
    return `${keep}; DELETE FROM ${name} WHERE key IN (${old})`;
  }
}
