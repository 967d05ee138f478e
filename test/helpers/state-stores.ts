import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openPostgresStore } from '../../src/worker/state/postgres-store';
import { openSqliteStore } from '../../src/worker/state/sqlite-store';
import type { StateStore } from '../../src/worker/state/state-store';
import { findPostgresBinaries, startPostgres, type TestPostgres } from './postgres';

/** A kind of state store, for tests that hold for each. */
export interface StoreKind {
  readonly name: string;
  /** Empty after {@link StoreKind.begin}; several open the same tables. */
  open(clock?: () => number): StateStore;
  /** Value of `--state-store`. */
  flag(): string;
  setUp(): Promise<void>;
  begin(): Promise<void>;
  tearDown(): Promise<void>;
}

/** SQLite, and PostgreSQL where there is a server. */
export function storeKinds(): StoreKind[] {
  return [sqliteKind(), ...(findPostgresBinaries() === undefined ? [] : [postgresKind()])];
}

function sqliteKind(): StoreKind {
  let folder = '';
  let count = 0;
  const file = () => join(folder, `state-${count}.sqlite`);
  return {
    name: 'SQLite',
    open: (clock) => openSqliteStore(file(), clock),
    flag: () => `sqlite:${file()}`,
    setUp: async () => {
      folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    },
    begin: async () => {
      count += 1;
    },
    tearDown: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

function postgresKind(): StoreKind {
  let server: TestPostgres;
  const url = () => server.url;
  return {
    name: 'PostgreSQL',
    open: (clock) => openPostgresStore(url(), clock),
    flag: url,
    setUp: async () => {
      server = await startPostgres(findPostgresBinaries() ?? '');
    },
    begin: async () => {
      const admin = new pg.Client({ connectionString: url() });
      await admin.connect();
      await admin.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public;');
      await admin.end();
    },
    tearDown: async () => server.stop(),
  };
}
