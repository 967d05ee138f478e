import { FlowError } from '../../dsl/errors';
import type { Ports } from '../block';
import { notRetryable } from '../block-failure';
import type { BlobStore } from '../ports/blob-store';
import type { HttpClient } from '../ports/http-client';
import type { HttpClients } from '../ports/http-clients';
import type { SecretStore } from '../ports/secret-store';
import type { SqlDatabase, SqlDatabases } from '../ports/sql-databases';
import { type Access, requireScope } from './access';
import { needBlob, needDatabase, needHttp, needWord } from './scopes';

/** What a process can reach, before anybody's access is known. */
export interface OpenPorts {
  readonly http: HttpClients;
  readonly blobs: BlobStore;
  readonly databases: SqlDatabases;
}

/** Accesses whose ports are kept; a dropped one is only made anew, and what was cached for it is fetched again. */
const MAX_KEPT = 1_000;

/**
 * The ports that blocks get: each asks for its scope before it lets a call through, whichever block makes it and wherever a
 * redirect leads. The same access gets the same ports, which caches of tokens and documents hang on.
 */
export class ScopedPorts {
  readonly #open: Ports;
  readonly #kept = new Map<string, Ports>();

  constructor(private readonly world: OpenPorts) {
    this.#open = { http: world.http.reaching([]), blobs: world.blobs, databases: world.databases };
  }

  /** Without an access, all that the worker can reach. */
  of(access: Access | undefined): Ports {
    if (access === undefined) return this.#open;
    const key = JSON.stringify(access);
    const ports = this.#kept.get(key) ?? this.#make(access);
    // Last used, last dropped.
    this.#kept.delete(key);
    this.#kept.set(key, ports);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return ports;
  }

  #make(access: Access): Ports {
    const { http, blobs, databases } = this.world;
    return {
      http: scopeHttp(http.reaching(access.privateHosts), access),
      blobs: scopeBlobs(blobs, access),
      databases: scopeDatabases(databases, access),
    };
  }
}

function scopeHttp(client: HttpClient, access: Access): HttpClient {
  const admit = (method: string, url: URL): void => requireScope(access, needHttp(method, url));
  return {
    send: async (request) => {
      admit(request.method, request.url);
      return await client.send({ ...request, admitRedirect: admit });
    },
    close: () => client.close(),
  };
}

function scopeBlobs(store: BlobStore, access: Access): BlobStore {
  const may = (use: 'read' | 'write', path: string, isPrefix = false): void =>
    requireScope(access, needBlob(use, path, isPrefix));
  return {
    put: async (tenant, path, ...rest) => {
      may('write', path);
      return await store.put(tenant, path, ...rest);
    },
    takePart: async (tenant, path, options) => {
      may('write', path);
      return await store.takePart(tenant, path, options);
    },
    stat: async (tenant, path) => {
      may('read', path);
      return await store.stat(tenant, path);
    },
    read: async (tenant, path, maxBytes) => {
      may('read', path);
      return await store.read(tenant, path, maxBytes);
    },
    list: async (tenant, options) => {
      may('read', options.prefix, true);
      return await store.list(tenant, options);
    },
    delete: async (tenant, path, options) => {
      may('write', path);
      return await store.delete(tenant, path, options);
    },
    sweep: (options) => store.sweep(options),
  };
}

function scopeDatabases(databases: SqlDatabases, access: Access): SqlDatabases {
  return {
    get: (name, tenant) => scopeDatabase({ name, tenant }, databases, access),
    close: () => databases.close(),
  };
}

interface DatabaseOfTenant {
  readonly name: string;
  readonly tenant: string;
}

/** The database is looked up once its scope is there: which there are is nobody else's business. */
function scopeDatabase(which: DatabaseOfTenant, databases: SqlDatabases, access: Access): SqlDatabase {
  const { name } = which;
  requireScope(access, needDatabase('read', name));
  const database = findDatabase(which, databases);
  const mayWrite = (): void => requireScope(access, needDatabase('write', name));
  return {
    kind: database.kind,
    query: (...args) => database.query(...args),
    execute: async (...args) => {
      mayWrite();
      return await database.execute(...args);
    },
    transaction: async (...args) => {
      mayWrite();
      return await database.transaction(...args);
    },
    close: () => database.close(),
  };
}

/** Of databases that are not there the port says which are, which is for operators and not for tenants. */
function findDatabase({ name, tenant }: DatabaseOfTenant, databases: SqlDatabases): SqlDatabase {
  try {
    return databases.get(name, tenant);
  } catch (error) {
    if (!(error instanceof FlowError) || error.data.code !== 'BLW_SQL_DATABASE_UNKNOWN') throw error;
    if (name.includes('/')) {
      const detail = `database "${name}": names have no "/"; a database of the flow's own tenant is found by its name alone`;
      throw notRetryable('BLW_SQL_DATABASE_UNKNOWN', detail);
    }
    throw notRetryable(
      'BLW_SQL_DATABASE_UNKNOWN',
      `database "${name}" is not configured; the operator can add it with --database ${name}=URL for all tenants, or --database ${tenant}/${name}=URL for this one`,
    );
  }
}

/** The secrets that an access may use; whether there is one of another name is not told. */
export function scopeSecrets(store: SecretStore, access: Access | undefined): SecretStore {
  return {
    get: async (name, tenant) => {
      requireScope(access, needWord('secret', name));
      return await store.get(name, tenant);
    },
  };
}
