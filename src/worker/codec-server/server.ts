import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload } from '@temporalio/common';
import { stackFrames } from '../../activities/stack-frames';
import { ERROR_CODES } from '../../dsl/error-codes';
import { FlowError, flowError } from '../../dsl/errors';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import { TENANT } from '../../dsl/start';
import type { LogFields, Logger } from '../logger';
import type { CodecAccess } from './access';
import { payloadFromJson, payloadToJson } from './payload-json';
import { callerDenied, Refusal } from './refusal';
import type { CodecCall, RemoteCodec } from './remote-codec';

/** Settings of {@link startCodecServer}. */
export interface CodecServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly codec: RemoteCodec;
  readonly access: CodecAccess;
  /** Origins whose pages may call the server: scheme, host and port. */
  readonly origins: readonly string[];
  /** True: only callers that use a name of this machine's loopback, so that no page can have its own name lead here. */
  readonly isLoopbackOnly: boolean;
  /** Of callers that name none. */
  readonly namespace: string;
  /** Of a request's body. */
  readonly maxBytes: number;
  readonly logger: Logger;
}

/** A codec server that serves. */
export interface CodecServer {
  readonly url: string;
  /** Takes no more requests and resolves when those that run are done. */
  stop(): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 256;
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const ROUTE = /^(?:\/(?<tenant>[^/]+))?\/(?<work>encode|decode)$/;

/** An answer, and what the log says of it. */
interface Answer {
  readonly status: number;
  readonly body: string;
  readonly fields?: LogFields;
}

/**
 * Serves the protocol of Temporal's remote codecs: POST /decode, /TENANT/decode and /TENANT/encode with payloads as JSON, and
 * the preflight requests of browsers. Nothing of a payload is ever logged. Throws BLW_CONFIG where it cannot listen.
 */
export async function startCodecServer(options: CodecServerOptions): Promise<CodecServer> {
  const server = createServer((request, response) => void serve(request, response, options));
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  const { host, port } = options;
  await listen(server, host, port);
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${name}:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        flowError('BLW_CONFIG', `--port ${port}: cannot be listened on (${cause.code ?? cause.message})`, { cause }),
      ),
    );
    server.listen(port, host, resolve);
  });
}

async function serve(request: IncomingMessage, response: ServerResponse, options: CodecServerOptions): Promise<void> {
  const startedAt = performance.now();
  const answer = await answerOf(request, response, options);
  response.writeHead(answer.status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(answer.body);
  const { status, fields } = answer;
  const isRefused = status >= 400;
  const level = status >= 500 ? 'error' : fields === undefined ? 'info' : 'warn';
  options.logger.log(level, isRefused ? 'codec request refused' : 'codec request', {
    // The path as it was sent is no name of ours.
    route: ROUTE.exec(request.url ?? '')?.groups?.work ?? 'none',
    status,
    latency_ms: Math.round(performance.now() - startedAt),
    ...fields,
  });
}

async function answerOf(
  request: IncomingMessage,
  response: ServerResponse,
  options: CodecServerOptions,
): Promise<Answer> {
  try {
    allowOrigin(request, response, options);
    if (request.method === 'OPTIONS') return { status: 204, body: '' };
    const { work, call } = await readCall(request, options);
    const given = await readPayloads(request, options.maxBytes);
    const payloads = given.map(({ payload }) => payload);
    const { codec } = options;
    const lost: LogFields[] = [];
    const onLost: CodecCall['onLost'] = ({ code, detail: reason }) =>
      lost.push({ code, reason, help: ERROR_CODES[code].help });
    const decode = () => codec.decode(payloads, { ...call, onLost });
    const done = work === 'decode' ? await decode() : await encode(codec, payloads, call);
    // What was left as it is goes back as it came, with whatever else it has.
    const json = done.map((payload, index) =>
      payload === payloads[index] ? given[index]?.json : payloadToJson(payload),
    );
    const [first] = lost;
    const fields = first === undefined ? {} : { fields: { lost: lost.length, ...first } };
    return { status: 200, body: JSON.stringify({ payloads: json }), ...fields };
  } catch (error) {
    const refusal = refusalOf(error);
    const { status, message, code, reason, help, frames } = refusal;
    if (status === 401) response.setHeader('www-authenticate', 'Bearer');
    // A body that nobody reads would keep the connection busy.
    if (!request.complete) response.setHeader('connection', 'close');
    return {
      status,
      body: JSON.stringify({ message }),
      fields: { code, reason, help, ...(frames === undefined ? {} : { stack: frames }) },
    };
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof FlowError) {
    const { code = 'BLW_CODEC_REQUEST' } = error.data;
    const status = code === 'BLW_IDENTITY_UNAVAILABLE' ? 503 : 400;
    return new Refusal(status, `${error.message} [${code}]`, { code, reason: error.message });
  }
  // The message of an error that nobody expects may have anything in it.
  const reason = error instanceof Error ? error.name : typeof error;
  const frames = error instanceof Error ? stackFrames(error) : undefined;
  return new Refusal(500, 'the codec server failed; its log has more', {
    reason,
    help: 'Please report it.',
    ...(frames === undefined ? {} : { frames }),
  });
}

/** Cross-origin requests are for the UI only (WHATWG Fetch, "CORS protocol"). */
function allowOrigin(
  { headers: { origin, host = '' } }: IncomingMessage,
  response: ServerResponse,
  { origins, isLoopbackOnly }: CodecServerOptions,
): void {
  if (isLoopbackOnly && !LOOPBACK_NAMES.has(host.replace(/:\d+$/, '').toLowerCase())) {
    throw new Refusal(403, 'call this server by a name of the loopback: localhost, 127.0.0.1');
  }
  response.setHeader('vary', 'Origin');
  if (origin === undefined) return;
  if (!origins.includes(origin)) {
    throw new Refusal(403, 'pages of this origin may not call; see --ui-origin', {
      reason: `a page of ${shortText(origin)} called`,
      help: 'Where that is the address of your UI, start with --ui-origin and that address.',
    });
  }
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-methods', 'POST, OPTIONS');
  response.setHeader('access-control-allow-headers', 'authorization, content-type, x-namespace');
  response.setHeader('access-control-max-age', '600');
}

async function readCall(
  { method, url = '', headers }: IncomingMessage,
  { access, namespace }: CodecServerOptions,
): Promise<{ work: string; call: CodecCall }> {
  const { work, tenant } = ROUTE.exec(url)?.groups ?? {};
  if (work === undefined) throw new Refusal(404, 'there are /decode, /TENANT/decode and /TENANT/encode');
  if (method !== 'POST') throw new Refusal(405, 'expected POST');
  if (tenant !== undefined && !TENANT.test(tenant)) throw new Refusal(404, 'no tenant can have this name');
  const caller = await access.identify(headers);
  if (tenant !== undefined && !caller.mayUse(tenant)) {
    throw callerDenied("the address names another tenant than the caller's");
  }
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new Refusal(415, 'expected the content type application/json');
  }
  const named = headers['x-namespace'];
  return { work, call: { namespace: typeof named === 'string' && named !== '' ? named : namespace, tenant, caller } };
}

async function encode(codec: RemoteCodec, payloads: Payload[], call: CodecCall): Promise<Payload[]> {
  const { tenant } = call;
  if (tenant !== undefined) return await codec.encode(payloads, { ...call, tenant });
  // A query without arguments, for one, asks all the same.
  if (payloads.length === 0) return [];
  throw new Refusal(400, 'name the tenant in the address of the codec: http://…/TENANT', {
    help: 'Whoever sends data has to say whose it is: temporal --codec-endpoint http://…/TENANT',
  });
}

async function readPayloads(request: IncomingMessage, maxBytes: number): Promise<{ payload: Payload; json: Json }[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw new Refusal(413, `expected at most ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, 'the request broke off');
  }
  const body = parse(Buffer.concat(chunks));
  const list = isJsonObject(body) ? (body.payloads ?? []) : undefined;
  if (!Array.isArray(list)) throw new Refusal(400, 'expected {"payloads": […]}');
  return list.map((json, index) => {
    const payload = payloadFromJson(json);
    if (payload !== undefined) return { payload, json };
    throw new Refusal(400, `payloads[${index}]: expected {"metadata": {…}, "data": "…"} with values in base64`);
  });
}

/** The parser's own message would quote the body. */
function parse(bytes: Buffer): Json {
  try {
    return JSON.parse(bytes.toString('utf8')) as Json;
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
}
