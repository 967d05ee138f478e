import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { flowError } from '../../dsl/errors';
import type { MetricsEndpoint } from './metrics-endpoint';

/** What a path answers with. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** A server of metrics and health. */
export interface TelemetryServer {
  readonly url: string;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 64;
const TEXT = 'text/plain; charset=utf-8';

/**
 * Answers GET and HEAD requests of the given paths; all else is refused. A path that throws is answered with 500 and without the
 * reason, which goes to `onError`. Throws BLW_CONFIG where the endpoint cannot be listened on.
 */
export async function startTelemetryServer(options: {
  endpoint: MetricsEndpoint;
  paths: Readonly<Record<string, () => Answer | Promise<Answer>>>;
  onError: (path: string, error: unknown) => void;
}): Promise<TelemetryServer> {
  const { endpoint, paths, onError } = options;
  const server = createServer((request, response) => {
    answer(request, paths, onError).then(
      (given) => send(response, given, request.method === 'HEAD'),
      () => response.destroy(),
    );
  });
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(endpoint, cause)));
    server.listen(endpoint.port, endpoint.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function cannotListen({ host, port }: MetricsEndpoint, cause: NodeJS.ErrnoException): Error {
  const reason = cause.code === 'EADDRINUSE' ? 'the port is in use' : (cause.code ?? cause.message);
  const detail = `--prometheus-endpoint ${host}:${port}: cannot be listened on (${reason}); choose another, or port 0 for a free one`;
  return flowError('BLW_CONFIG', detail, { cause });
}

async function answer(
  request: IncomingMessage,
  paths: Readonly<Record<string, () => Answer | Promise<Answer>>>,
  onError: (path: string, error: unknown) => void,
): Promise<Answer> {
  const path = (request.url ?? '').replace(/\?.*$/s, '');
  const make = Object.hasOwn(paths, path) ? paths[path] : undefined;
  if (make === undefined) {
    return { status: 404, contentType: TEXT, body: `not found; there are ${Object.keys(paths).join(', ')}\n` };
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, contentType: TEXT, body: 'only GET and HEAD\n' };
  }
  try {
    return await make();
  } catch (error) {
    onError(path, error);
    return { status: 500, contentType: TEXT, body: 'failed; the log of the worker says why\n' };
  }
}

function send(response: ServerResponse, { status, contentType, body }: Answer, isHead: boolean): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
  });
  response.end(isHead ? undefined : body);
}
