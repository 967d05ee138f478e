import { join, resolve } from 'node:path';
import pg from 'pg';
import { flowError } from '../../dsl/errors';
import { openPostgresStore } from './postgres-store';
import type { Rule } from './rule';
import { openSqliteStore } from './sqlite-store';
import { type StateStore, type StateStoreConfig, StateStoreUnavailable } from './state-store';

/** File of the store where none is named: below the blob root, which workers that share tenants share anyway. */
const DEFAULT_FILE = 'state.sqlite';

const FORMS = 'expected sqlite:FILE or postgres://USER:PASSWORD@HOST/DATABASE';

/**
 * Reads the value of `--state-store`; empty: the default. A relative file is taken from `cwd`. Throws BLW_CONFIG, without
 * what was given, since it may hold a password.
 */
export function parseStateStore(text: string, { cwd, blobRoot }: { cwd: string; blobRoot: string }): StateStoreConfig {
  if (text === '') return { kind: 'sqlite', file: join(blobRoot, DEFAULT_FILE) };
  if (/^sqlite:/i.test(text)) {
    const file = text.slice('sqlite:'.length);
    if (file !== '' && !file.startsWith(':memory:') && !/^\/\/[^/]/.test(file)) {
      return { kind: 'sqlite', file: resolve(cwd, file) };
    }
    throw flowError('BLW_CONFIG', `--state-store: got no usable file; ${FORMS}`);
  }
  if (!/^postgres(?:ql)?:\/\//i.test(text))
    throw flowError('BLW_CONFIG', `--state-store: got no known store; ${FORMS}`);
  try {
    // Reads the URL as the driver will, without connecting.
    new pg.Client({ connectionString: text });
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unreadable';
    throw flowError('BLW_CONFIG', `--state-store: got a URL that cannot be used (${reason}); ${FORMS}`);
  }
  return { kind: 'postgres', url: text };
}

/**
 * Opens the store of a worker, so that a setting that cannot work is told before any step needs it: BLW_CONFIG. A database that does
 * not answer now may do so later, and `onUnavailable` is told.
 */
export async function openWorkerStore(
  config: StateStoreConfig,
  onUnavailable: (error: StateStoreUnavailable) => void,
): Promise<StateStore> {
  const store = openStateStore(config);
  try {
    await store.run(touch);
  } catch (cause) {
    if (!(cause instanceof StateStoreUnavailable) || config.kind === 'sqlite') {
      await store.close();
      throw cause instanceof StateStoreUnavailable
        ? flowError('BLW_CONFIG', `--state-store: ${cause.message}`, { cause })
        : cause;
    }
    onUnavailable(cause);
  }
  return store;
}

/** Opens a store on its first use. */
export function openStateStore(config: StateStoreConfig): StateStore {
  return config.kind === 'sqlite' ? openSqliteStore(config.file) : openPostgresStore(config.url);
}

/** Nothing: the tables are made before. */
function* touch(): Rule<void> {}
