import type { Readable } from 'node:stream';
import { jsonBytes } from '../dsl/encoded-json';
import type { OpenPorts } from './access/scoped-ports';
import type { BlobStore } from './ports/blob-store';
import type { HttpClient, HttpRequest } from './ports/http-client';
import type { HttpClients } from './ports/http-clients';
import type { SqlDatabase, SqlDatabases, SqlStatement } from './ports/sql-databases';
import { StepMeter } from './step-meter';

/**
 * Ports that count what goes through them, for the step whose code calls them, whichever block that is. What caches hang on, one
 * client for one set of hosts, stays the same.
 */
export function meterPorts({ http, blobs, databases }: OpenPorts): OpenPorts {
  return { http: meterClients(http), blobs: meterBlobs(blobs), databases: meterDatabases(databases) };
}

function meterClients(clients: HttpClients): HttpClients {
  const metered = new WeakMap<HttpClient, HttpClient>();
  return {
    reaching: (hosts) => {
      const client = clients.reaching(hosts);
      const known = metered.get(client) ?? meterClient(client);
      metered.set(client, known);
      return known;
    },
    close: () => clients.close(),
  };
}

function meterClient(client: HttpClient): HttpClient {
  return {
    send: async (request) => {
      const meter = StepMeter.current();
      meter?.wrote(bodyBytes(request));
      if (meter === undefined) return await client.send(request);
      const response = await meter.idly(() => client.send(request));
      countReads(response.body, meter);
      return response;
    },
    close: () => client.close(),
  };
}

function bodyBytes({ body }: HttpRequest): number {
  if (body === undefined) return 0;
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length;
}

/** Counts what comes into a stream, also where its reader stops early. Another stream around it would cost more than the rest. */
function countReads(body: Readable, meter: StepMeter): void {
  meter.read(body.readableLength);
  const push = body.push.bind(body);
  body.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk instanceof Uint8Array || typeof chunk === 'string') meter.read(chunk.length);
    return push(chunk, encoding);
  };
}

function meterBlobs(store: BlobStore): BlobStore {
  return {
    put: async (tenant, path, source, options = {}) => {
      const meter = StepMeter.current();
      let written = options.after?.size ?? 0;
      const onProgress = (bytes: number): void => {
        meter?.wrote(bytes - written);
        written = bytes;
        options.onProgress?.(bytes);
      };
      return await store.put(tenant, path, source, { ...options, onProgress });
    },
    takePart: (...args) => store.takePart(...args),
    stat: (...args) => store.stat(...args),
    read: async (...args) => {
      const found = await store.read(...args);
      StepMeter.current()?.read(found?.content.length ?? 0);
      return found;
    },
    list: (...args) => store.list(...args),
    delete: (...args) => store.delete(...args),
    sweep: (...args) => store.sweep(...args),
  };
}

function meterDatabases(databases: SqlDatabases): SqlDatabases {
  return { get: (...args) => meterDatabase(databases.get(...args)), close: () => databases.close() };
}

function meterDatabase(database: SqlDatabase): SqlDatabase {
  const wrote = ({ parameters }: SqlStatement): void => {
    if (parameters !== undefined) StepMeter.current()?.wrote(jsonBytes(parameters));
  };
  const idly = <T>(work: () => Promise<T>): Promise<T> => StepMeter.current()?.idly(work) ?? work();
  const read = (rows: unknown): void => {
    if (rows !== undefined) StepMeter.current()?.read(jsonBytes(rows));
  };
  return {
    kind: database.kind,
    query: async (statement, ...rest) => {
      wrote(statement);
      const result = await idly(() => database.query(statement, ...rest));
      read(result.rows);
      return result;
    },
    execute: async (statement, ...rest) => {
      wrote(statement);
      return await idly(() => database.execute(statement, ...rest));
    },
    transaction: async (statements, ...rest) => {
      for (const statement of statements) wrote(statement);
      const results = await idly(() => database.transaction(statements, ...rest));
      for (const { rows } of results) read(rows);
      return results;
    },
    close: () => database.close(),
  };
}
