import { resolve } from 'node:path';
import pg from 'pg';
import { flowError } from '../../dsl/errors';
import { notRetryable } from '../block-failure';
import { openPostgresDatabase } from './postgres-database';
import type { SqlDatabase, SqlDatabases } from './sql-databases';
import { DEFAULT_LEDGER_RETENTION_MS, type LedgerRules } from './sql-ledger';
import { isMemoryFile, openSqliteDatabase } from './sqlite-database';

/** One `--database`; JSON, so that it can be handed to other processes. A URL may hold a password: never log it. */
export type DatabaseConfig = {
  readonly name: string;
  /** Absent: for every tenant. */
  readonly tenant?: string;
} & (
  | { readonly kind: 'sqlite' /** Absolute. */; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string }
);

const NAME = /^(?:([A-Za-z0-9][A-Za-z0-9._-]{0,62})\/)?([A-Za-z][A-Za-z0-9_-]{0,62})$/;
const FORMS =
  'expected NAME=sqlite:FILE or NAME=postgres://USER:PASSWORD@HOST/DATABASE, or TENANT/NAME=… for one tenant only';

/**
 * Reads the value of `--database`, e.g. `shop=sqlite:./shop.db`, `crm=postgres://user:secret@host/crm` or
 * `acme/crm=postgres://acme:secret@host/crm`. A relative file is taken from `cwd`. Throws BLW_CONFIG; what was given is not
 * repeated beyond the name, since it may hold a password.
 */
export function parseDatabaseFlag(text: string, cwd: string = process.cwd()): DatabaseConfig {
  const [, key = '', source = ''] = /^([^=]*)=([\s\S]*)$/.exec(text) ?? [];
  const [, tenant, name] = NAME.exec(key) ?? [];
  if (name === undefined) {
    const rule = 'NAME begins with a letter and has at most 63 letters, digits, _ and -';
    throw flowError('BLW_CONFIG', `--database: got no usable name; ${FORMS}; ${rule}`);
  }
  const whose = { name, ...(tenant === undefined ? {} : { tenant }) };
  if (/^sqlite:/i.test(source)) return { ...whose, kind: 'sqlite', file: parseFile(key, source.slice(7), cwd) };
  if (/^postgres(?:ql)?:/i.test(source)) return { ...whose, kind: 'postgres', url: parseUrl(key, source) };
  throw flowError('BLW_CONFIG', `--database ${key}: got no known kind of database; ${FORMS}`);
}

/** The database that a name means to a tenant: its own, or else that of all. */
export function findDatabase(
  configs: readonly DatabaseConfig[],
  name: string,
  tenant: string,
): DatabaseConfig | undefined {
  const named = configs.filter((config) => config.name === name);
  return named.find((config) => config.tenant === tenant) ?? named.find((config) => config.tenant === undefined);
}

function parseFile(key: string, file: string, cwd: string): string {
  if (isMemoryFile(file)) {
    const detail = 'got no file; steps run in several processes and cannot share a database in memory';
    throw flowError('BLW_CONFIG', `--database ${key}: ${detail}; expected sqlite:FILE, e.g. sqlite:./shop.db`);
  }
  if (/^\/\/[^/]/.test(file)) {
    throw flowError(
      'BLW_CONFIG',
      `--database ${key}: got sqlite://…, which names a host; expected sqlite:FILE without //`,
    );
  }
  return resolve(cwd, file);
}

function parseUrl(key: string, url: string): string {
  const where = `--database ${key}`;
  let client: pg.Client;
  try {
    // Reads the URL as the driver will, its certificates included, without connecting.
    client = new pg.Client({ connectionString: url });
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    throw flowError('BLW_CONFIG', `${where}: got a URL that cannot be used (${reason}); ${FORMS}`);
  }
  // Without a name the driver would take the database that is called like the user.
  if (!/^\w+:\/\/[^/?#]*\/[^/?#]/.test(url)) {
    throw flowError('BLW_CONFIG', `${where}: got a URL without a database; ${FORMS}`);
  }
  if (!Number.isInteger(client.port) || client.port < 1 || client.port > 65_535) {
    throw flowError('BLW_CONFIG', `${where}: got a port that is none; expected 1 to 65535`);
  }
  return url;
}

/**
 * The databases of a worker; each is opened on first use. Throws BLW_CONFIG where one tenant has two of one name.
 */
export function createSqlDatabases(
  configs: readonly DatabaseConfig[],
  ledger: LedgerRules = { retentionMs: DEFAULT_LEDGER_RETENTION_MS },
): SqlDatabases {
  const opened = new Map<DatabaseConfig, SqlDatabase>();
  for (const config of configs) {
    if ([...opened.keys()].some(({ name, tenant }) => name === config.name && tenant === config.tenant)) {
      const detail = `--database ${keyOf(config)}: got the name twice; expected one database per name`;
      throw flowError('BLW_CONFIG', detail);
    }
    const open = config.kind === 'sqlite' ? openSqliteDatabase(config, ledger) : openPostgresDatabase(config, ledger);
    opened.set(config, open);
  }
  return {
    get(name, tenant) {
      const config = findDatabase(configs, name, tenant);
      const database = config === undefined ? undefined : opened.get(config);
      if (database !== undefined) return database;
      const visible = configs.filter((other) => other.tenant === undefined || other.tenant === tenant);
      const names = [...new Set(visible.map((other) => other.name))];
      const known = names.length === 0 ? 'none is' : `there are: ${names.join(', ')}`;
      const detail = `database "${name}" is not configured; ${known}; add it with --database ${name}=…`;
      throw notRetryable('BLW_SQL_DATABASE_UNKNOWN', detail);
    },
    async close() {
      const results = await Promise.allSettled([...opened.values()].map((database) => database.close()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}

function keyOf({ name, tenant }: DatabaseConfig): string {
  return tenant === undefined ? name : `${tenant}/${name}`;
}
