import type { Readable } from 'node:stream';
import { jsonBytes } from '../dsl/encoded-json';
import type { OpenPorts } from './access/scoped-ports';
import type { HttpStatusClass, PortObserver } from './port-observer';
import type { BlobStore } from './ports/blob-store';
import type { HttpClient, HttpRequest, HttpResponse } from './ports/http-client';
import { wrapClients } from './ports/http-clients';
import type { SqlDatabase, SqlDatabases, SqlStatement } from './ports/sql-databases';
import { StepMeter } from './step-meter';

/**
 * Ports that count what goes through them, for the step whose code calls them, whichever block that is; `observe` is told of
 * each call.
 */
export function meterPorts({ http, blobs, databases }: OpenPorts, observe?: PortObserver): OpenPorts {
  return {
    http: wrapClients(http, (client) => meterClient(client, observe)),
    blobs: meterBlobs(blobs, observe),
    databases: meterDatabases(databases, observe),
  };
}

function meterClient(client: HttpClient, observe: PortObserver | undefined): HttpClient {
  return {
    send: async (request) => {
      const meter = StepMeter.current();
      const sent = bodyBytes(request);
      meter?.wrote(sent);
      if (meter === undefined) return await client.send(request);
      const send = () => meter.idly(() => client.send(request));
      const response = await (observe === undefined ? send() : observeRequest(request, send, observe));
      observe?.({ port: 'bytes', of: 'http', direction: 'out', bytes: sent });
      countReads(response.body, (bytes) => {
        meter.read(bytes);
        observe?.({ port: 'bytes', of: 'http', direction: 'in', bytes });
      });
      return response;
    },
    close: () => client.close(),
  };
}

function observeRequest(
  { method }: HttpRequest,
  send: () => Promise<HttpResponse>,
  observe: PortObserver,
): Promise<HttpResponse> {
  return timed(send, (ms, ended) => observe({ port: 'http', method, status: statusClassOf(ended?.result), ms }));
}

function statusClassOf(response: HttpResponse | undefined): HttpStatusClass {
  return response === undefined ? 'error' : (`${Math.trunc(response.statusCode / 100)}xx` as HttpStatusClass);
}

/** Tells how long the work took, and what it gave; nothing where it failed. */
async function timed<T>(
  work: () => Promise<T>,
  told: (ms: number, ended?: { readonly result: T }) => void,
): Promise<T> {
  const begunAt = performance.now();
  let ended: { readonly result: T } | undefined;
  try {
    ended = { result: await work() };
    return ended.result;
  } finally {
    told(performance.now() - begunAt, ended);
  }
}

function bodyBytes({ body }: HttpRequest): number {
  if (body === undefined) return 0;
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length;
}

/** Counts what comes into a stream, also where its reader stops early. Another stream around it would cost more than the rest. */
function countReads(body: Readable, count: (bytes: number) => void): void {
  count(body.readableLength);
  const push = body.push.bind(body);
  body.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (chunk instanceof Uint8Array || typeof chunk === 'string') count(chunk.length);
    return push(chunk, encoding);
  };
}

function meterBlobs(store: BlobStore, observe: PortObserver | undefined): BlobStore {
  const moved = (direction: 'in' | 'out', bytes: number): void =>
    observe?.({ port: 'bytes', of: 'blob', direction, bytes });
  const watch = <T>(operation: string, act: () => Promise<T>): Promise<T> =>
    observe === undefined
      ? act()
      : timed(act, (_, ended) => observe({ port: 'blob', operation, isOk: ended !== undefined }));
  return {
    put: (tenant, path, source, options = {}) => {
      const meter = StepMeter.current();
      let written = options.after?.size ?? 0;
      const onProgress = (bytes: number): void => {
        meter?.wrote(bytes - written);
        moved('out', bytes - written);
        written = bytes;
        options.onProgress?.(bytes);
      };
      return watch('put', () => store.put(tenant, path, source, { ...options, onProgress }));
    },
    takePart: (...args) => store.takePart(...args),
    stat: (...args) => watch('stat', () => store.stat(...args)),
    read: async (...args) => {
      const meter = StepMeter.current();
      const found = await watch('read', () => store.read(...args));
      const bytes = found?.content.length ?? 0;
      meter?.read(bytes);
      moved('in', bytes);
      return found;
    },
    list: (...args) => watch('list', () => store.list(...args)),
    delete: (...args) => watch('delete', () => store.delete(...args)),
    sweep: (...args) => store.sweep(...args),
  };
}

function meterDatabases(databases: SqlDatabases, observe: PortObserver | undefined): SqlDatabases {
  return { get: (...args) => meterDatabase(databases.get(...args), observe), close: () => databases.close() };
}

function meterDatabase(database: SqlDatabase, observe: PortObserver | undefined): SqlDatabase {
  const { kind } = database;
  /** `rowsOf`: what the database gave, once for each statement. */
  const call = async <T>(
    operation: string,
    work: () => Promise<T>,
    about: { readonly sent: readonly SqlStatement[]; rowsOf?(result: T): readonly unknown[] },
  ): Promise<T> => {
    const meter = StepMeter.current();
    for (const { parameters } of about.sent) if (parameters !== undefined) meter?.wrote(jsonBytes(parameters));
    const idly = (): Promise<T> => meter?.idly(work) ?? work();
    const told = (ms: number, ended?: object): void =>
      observe?.({ port: 'sql', kind, operation, isOk: ended !== undefined, ms });
    const result = await (observe === undefined ? idly() : timed(idly, told));
    for (const rows of about.rowsOf?.(result) ?? []) if (rows !== undefined) meter?.read(jsonBytes(rows));
    return result;
  };
  return {
    kind,
    query: (statement, ...rest) =>
      call('query', () => database.query(statement, ...rest), { sent: [statement], rowsOf: ({ rows }) => [rows] }),
    execute: (statement, ...rest) => call('execute', () => database.execute(statement, ...rest), { sent: [statement] }),
    transaction: (statements, ...rest) =>
      call('transaction', () => database.transaction(statements, ...rest), {
        sent: statements,
        rowsOf: (results) => results.map(({ rows }) => rows),
      }),
    close: () => database.close(),
  };
}
