import { resolve } from 'node:path';
import pg from 'pg';
import { flowError } from '../../dsl/errors';
import { notRetryable } from '../block-failure';
import { openPostgresDatabase } from './postgres-database';
import type { SqlDatabase, SqlDatabases } from './sql-databases';
import { isMemoryFile, openSqliteDatabase } from './sqlite-database';

/** One `--database`; JSON, so that it can be handed to other processes. A URL may hold a password: never log it. */
export type DatabaseConfig =
  | { readonly name: string; readonly kind: 'sqlite' /** Absolute. */; readonly file: string }
  | { readonly name: string; readonly kind: 'postgres'; readonly url: string };

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const FORMS = 'expected NAME=sqlite:FILE or NAME=postgres://USER:PASSWORD@HOST/DATABASE';

/**
 * Reads the value of `--database`, e.g. `shop=sqlite:./shop.db` or `crm=postgres://user:secret@host/crm`. A relative file is
 * taken from `cwd`. Throws BLW_CONFIG; what was given is not repeated beyond the name, since it may hold a password.
 */
export function parseDatabaseFlag(text: string, cwd: string = process.cwd()): DatabaseConfig {
  const [, name = '', source = ''] = /^([^=]*)=([\s\S]*)$/.exec(text) ?? [];
  if (!NAME.test(name)) {
    const rule = 'NAME begins with a letter and has at most 63 letters, digits, _ and -';
    throw flowError('BLW_CONFIG', `--database: got no usable name; ${FORMS}; ${rule}`);
  }
  if (/^sqlite:/i.test(source)) return { name, kind: 'sqlite', file: parseFile(name, source.slice(7), cwd) };
  if (/^postgres(?:ql)?:/i.test(source)) return { name, kind: 'postgres', url: parseUrl(name, source) };
  throw flowError('BLW_CONFIG', `--database ${name}: got no known kind of database; ${FORMS}`);
}

function parseFile(name: string, file: string, cwd: string): string {
  if (isMemoryFile(file)) {
    const detail = 'got no file; steps run in several processes and cannot share a database in memory';
    throw flowError('BLW_CONFIG', `--database ${name}: ${detail}; expected sqlite:FILE, e.g. sqlite:./${name}.db`);
  }
  if (/^\/\/[^/]/.test(file)) {
    throw flowError(
      'BLW_CONFIG',
      `--database ${name}: got sqlite://…, which names a host; expected sqlite:FILE without //`,
    );
  }
  return resolve(cwd, file);
}

function parseUrl(name: string, url: string): string {
  const where = `--database ${name}`;
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
 * The databases of a worker; each is opened on first use. Throws BLW_CONFIG where two have one name.
 */
export function createSqlDatabases(configs: readonly DatabaseConfig[]): SqlDatabases {
  const byName = new Map<string, SqlDatabase>();
  for (const config of configs) {
    if (byName.has(config.name)) {
      const detail = `--database ${config.name}: got the name twice; expected one database per name`;
      throw flowError('BLW_CONFIG', detail);
    }
    byName.set(config.name, config.kind === 'sqlite' ? openSqliteDatabase(config) : openPostgresDatabase(config));
  }
  return {
    get(name) {
      const database = byName.get(name);
      if (database !== undefined) return database;
      const known = byName.size === 0 ? 'none is' : `there are: ${[...byName.keys()].join(', ')}`;
      const detail = `database "${name}" is not configured; ${known}; add it with --database ${name}=…`;
      throw notRetryable('BLW_SQL_DATABASE_UNKNOWN', detail);
    },
    async close() {
      const results = await Promise.allSettled([...byName.values()].map((database) => database.close()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
}
