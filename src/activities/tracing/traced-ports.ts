import type { SpanAttributes } from '../../dsl/trace';
import type { OpenPorts } from '../access/scoped-ports';
import type { BlobInfo, BlobStore } from '../ports/blob-store';
import type { HttpClient, HttpRequest, HttpResponse } from '../ports/http-client';
import type { HttpClients } from '../ports/http-clients';
import type { SqlDatabase, SqlDatabases, SqlStatement } from '../ports/sql-databases';
import { SpanRecorder, type SpanStart } from './span-recorder';
import { withoutValues } from './statement-text';

/**
 * Ports that record what goes through them as spans, for the step whose code calls them, and send the context of its trace on to
 * HTTP servers. What hangs on a client, one for one set of hosts, stays the same. Attributes are those of OpenTelemetry's semantic
 * conventions where there are some.
 */
export function tracePorts({ http, blobs, databases }: OpenPorts): OpenPorts {
  return { http: traceClients(http), blobs: traceBlobs(blobs), databases: traceDatabases(databases) };
}

function traceClients(clients: HttpClients): HttpClients {
  const traced = new WeakMap<HttpClient, HttpClient>();
  return {
    reaching: (hosts) => {
      const client = clients.reaching(hosts);
      const known = traced.get(client) ?? traceClient(client);
      traced.set(client, known);
      return known;
    },
    close: () => clients.close(),
  };
}

function traceClient(client: HttpClient): HttpClient {
  return {
    send: async (request) => {
      const recorder = SpanRecorder.current();
      if (recorder === undefined) return await client.send(request);
      if (!recorder.isSampled) return await client.send(withHeader(request, recorder.header));
      return await sendTraced(client, request, recorder);
    },
    close: () => client.close(),
  };
}

/** The span lasts until the answer's body is closed. Neither path nor query: they may be credentials. */
async function sendTraced(client: HttpClient, request: HttpRequest, recorder: SpanRecorder): Promise<HttpResponse> {
  const { method, url } = request;
  const span = recorder.begin({
    name: method,
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'url.scheme': url.protocol.slice(0, -1),
      'server.address': url.hostname,
      'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
    },
  });
  try {
    const own = new SpanRecorder(span.context).header;
    const response = await client.send(withHeader(request, own));
    const { statusCode, body } = response;
    span.tell({ 'http.response.status_code': statusCode }, statusCode >= 400 ? String(statusCode) : undefined);
    if (body.closed) span.end();
    else body.once('close', () => span.end());
    return response;
  } catch (error) {
    span.tell({}, error);
    span.end();
    throw error;
  }
}

/** The author's own header is what counts. */
function withHeader(request: HttpRequest, header: object): HttpRequest {
  if (request.headers.traceparent !== undefined) return request;
  return { ...request, headers: { ...request.headers, ...header } };
}

/** `describe` says what a span is of, where there is one. */
function during<T>(
  describe: () => SpanStart,
  work: () => Promise<T>,
  describeResult?: (result: T) => SpanAttributes,
): Promise<T> {
  const recorder = SpanRecorder.current();
  return recorder?.isSampled === true ? recorder.during(describe(), work, describeResult) : work();
}

function traceBlobs(store: BlobStore): BlobStore {
  const spanOf = (operation: string, path: string) => (): SpanStart => ({
    name: `blob ${operation}`,
    kind: 'internal',
    attributes: { 'beamline.blob.operation': operation, 'beamline.blob.path': path },
  });
  const sizeOf = (info: BlobInfo | undefined): SpanAttributes =>
    info === undefined ? {} : { 'beamline.blob.size': info.size };
  return {
    put: (tenant, path, ...rest) => during(spanOf('put', path), () => store.put(tenant, path, ...rest), sizeOf),
    takePart: (tenant, path, options) => during(spanOf('take part', path), () => store.takePart(tenant, path, options)),
    stat: (tenant, path) => during(spanOf('stat', path), () => store.stat(tenant, path), sizeOf),
    read: (tenant, path, maxBytes) =>
      during(
        spanOf('get', path),
        () => store.read(tenant, path, maxBytes),
        (found) => sizeOf(found?.info),
      ),
    list: (tenant, options) => during(spanOf('list', options.prefix), () => store.list(tenant, options)),
    delete: (tenant, path, ...rest) => during(spanOf('delete', path), () => store.delete(tenant, path, ...rest)),
    sweep: (options) => store.sweep(options),
  };
}

function traceDatabases(databases: SqlDatabases): SqlDatabases {
  return {
    get: (name, tenant) => traceDatabase(name, databases.get(name, tenant)),
    close: () => databases.close(),
  };
}

function traceDatabase(name: string, database: SqlDatabase): SqlDatabase {
  const { kind } = database;
  const spanOf = (operation: string, statements: readonly SqlStatement[]) => (): SpanStart => ({
    name: `${operation} ${name}`,
    kind: 'client',
    attributes: {
      'db.system.name': kind === 'sqlite' ? 'sqlite' : 'postgresql',
      'db.namespace': name,
      'db.operation.name': operation,
      'db.query.text': statements.map(({ statement }) => withoutValues(kind, statement)).join('; '),
      ...(statements.length === 1 ? {} : { 'db.operation.batch.size': statements.length }),
    },
  });
  return {
    kind,
    query: (statement, ...rest) =>
      during(
        spanOf('query', [statement]),
        () => database.query(statement, ...rest),
        ({ rows }) => ({ 'db.response.returned_rows': rows.length }),
      ),
    execute: (statement, ...rest) => during(spanOf('execute', [statement]), () => database.execute(statement, ...rest)),
    transaction: (statements, ...rest) =>
      during(spanOf('transaction', statements), () => database.transaction(statements, ...rest)),
    close: () => database.close(),
  };
}
