import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { Agent, type Dispatcher } from 'undici';
import { setOwn } from '../../dsl/json';
import { BlockFailure, notRetryable, retryable } from '../block-failure';
import { checkHttpUrl, describeUrl } from '../http/url';
import {
  type AllowedHosts,
  isAllowedHost,
  isLoopbackName,
  isPublicAddress,
  normalizeHost,
  parseAllowedHosts,
} from './address-policy';
import { AddressDeniedError, createGuardedConnector, type Resolve } from './guarded-connector';
import type { HttpClient, HttpRequest, HttpResponse } from './http-client';
import { ACCEPT_ENCODING, decodeBody, isEncoded } from './http-decoding';
import { followRedirect, type Hop, isRedirect, MAX_REDIRECTS, tooManyRedirects } from './http-redirect';
import { watchSending } from './send-watcher';

/** Largest head of an answer; Node's own 16 KiB is too little for some servers' cookies and policies. */
const MAX_HEADER_BYTES = 65_536;

const DEFAULT_HEADERS = { 'accept-encoding': ACCEPT_ENCODING, 'user-agent': 'beamline-worker' };

export interface HttpClientOptions {
  /** HOST or HOST:PORT, as `--allow-host` takes them: may be called although their addresses are not public. */
  readonly allowHosts: readonly string[];
  /** Resolves names. Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** For name, connection and TLS handshake together. Default: 10 s. */
  readonly connectTimeoutMs?: number;
  /** Longest time that an idle connection is kept, whatever its server asks for. Default: 10 s. */
  readonly maxIdleMs?: number;
  /** Trusted certificates in PEM; default: those of Node. */
  readonly ca?: string;
}

/**
 * The client behind the HTTP blocks: reaches public addresses and allowed hosts only, whatever a name resolves to or a
 * redirect asks for. Uses no proxy, keeps connections alive between calls, sets no time limit but that for connecting:
 * the signal of the request is the limit. Closing it fails what is under way. Throws BLW_CONFIG for a bad `allowHosts`.
 */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { allowHosts, maxIdleMs = 10_000, ...connection } = options;
  const allowed = parseAllowedHosts(allowHosts);
  const agent = new Agent({
    connect: createGuardedConnector({ allowed, ...connection }),
    headersTimeout: 0,
    bodyTimeout: 0,
    // undici would keep a connection for ten minutes where a server asks for it; servers on many ports could use up the sockets.
    keepAliveMaxTimeout: maxIdleMs,
    maxHeaderSize: MAX_HEADER_BYTES,
  });
  return {
    send: (request) => send({ agent, allowed }, request),
    close: () => agent.destroy(),
  };
}

interface Transport {
  readonly agent: Agent;
  readonly allowed: AllowedHosts;
}

async function send(transport: Transport, request: HttpRequest): Promise<HttpResponse> {
  const { method, url, body, signal } = request;
  const headers = { ...DEFAULT_HEADERS, ...request.headers };
  let hop: Hop = { method, url, headers, followsEffect: false, ...(body === undefined ? {} : { body }) };
  for (let redirects = 0; ; redirects += 1) {
    signal.throwIfAborted();
    admit(hop, transport.allowed);
    const answer = await exchange(hop, transport.agent, request);
    if (!request.followRedirects || !isRedirect(answer.statusCode)) return toResponse(hop, answer, signal);
    discard(answer.body);
    if (redirects === MAX_REDIRECTS) throw tooManyRedirects(labelOf(request));
    hop = followRedirect(hop, answer.statusCode, answer.headers.location);
    request.admitRedirect?.(hop.method, hop.url);
  }
}

/** Refuses what can be judged without a resolver. Throws BLW_HTTP_URL or BLW_HTTP_HOST_DENIED. */
function admit(hop: Hop, allowed: AllowedHosts): void {
  checkHttpUrl(hop.url);
  const { hostname } = hop.url;
  if (isAllowedHost(allowed, hostname, portOf(hop.url))) return;
  if (isLoopbackName(hostname) || isPrivateLiteral(hostname)) throw hostDenied(hop);
}

/** The URL parser has brought every spelling of an IPv4 address (decimal, octal, hex, short) to four decimal numbers. */
function isPrivateLiteral(hostname: string): boolean {
  const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return isIP(address) !== 0 && !isPublicAddress(address);
}

function exchange(hop: Hop, agent: Agent, { signal, onSending }: HttpRequest): Promise<Dispatcher.ResponseData> {
  const { method, url, headers, body } = hop;
  const sending = watchSending(agent, onSending);
  const path = `${url.pathname}${url.search}`;
  return untilAborted(
    sending.dispatcher.request({ origin: url.origin, path, method, headers, body: body ?? null, signal }),
    { signal, translate: (error) => sendFailure(error, hop, sending.hasStarted()) },
  );
}

/** undici looks at the signal only once it is connected; a step must stop at once. Else it fails with what `translate`, which does not throw, makes of the failure. */
function untilAborted<T>(
  promise: Promise<T>,
  { signal, translate }: { readonly signal: AbortSignal; readonly translate: (error: unknown) => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const settle = (finish: () => void) => {
      signal.removeEventListener('abort', onAbort);
      finish();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    promise.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(signal.aborted ? signal.reason : translate(error))),
    );
  });
}

function toResponse(hop: Hop, answer: Dispatcher.ResponseData, signal: AbortSignal): HttpResponse {
  const headers = flattenHeaders(answer.headers);
  const contentEncoding = hop.method === 'HEAD' ? undefined : headers['content-encoding'];
  const body = decodeBody(answer.body, {
    contentEncoding,
    label: labelOf(hop),
    translate: (error) => bodyFailure(error, hop, signal),
  });
  const isDecoded = isEncoded(contentEncoding);
  if (isDecoded) {
    // They speak of the bytes on the wire, not of the body that is handed out.
    delete headers['content-encoding'];
    delete headers['content-length'];
  }
  stopWithSignal(body, signal);
  return { statusCode: answer.statusCode, headers, url: hop.url, body, ...(isDecoded ? { isDecoded } : {}) };
}

/** undici's own listener goes when the last byte has come in; decoding may go on long after that. */
function stopWithSignal(body: Readable, signal: AbortSignal): void {
  const onAbort = () => {
    body.destroy(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  body.once('close', () => signal.removeEventListener('abort', onAbort));
  if (signal.aborted) onAbort();
}

/** Repeated headers are joined as RFC 9110 section 5.3 says; `set-cookie`, which has commas inside, line by line. */
function flattenHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    setOwn(flat, name, typeof value === 'string' ? value : value.join(name === 'set-cookie' ? '\n' : ', '));
  }
  return flat;
}

function discard(body: Readable): void {
  body.on('error', () => undefined).destroy();
}

function bodyFailure(error: Error, hop: Hop, signal: AbortSignal): Error {
  if (signal.aborted) return signal.reason;
  if (error instanceof BlockFailure) return error;
  return retryable(
    'BLW_HTTP_OUTCOME_UNKNOWN',
    `${labelOf(hop)}: got an answer that broke off (${reasonOf(error)}), expected a whole one; ` +
      'check on the server whether the call took effect',
    { cause: error },
  );
}

function sendFailure(error: unknown, hop: Hop, hasStarted: boolean): BlockFailure {
  if (error instanceof BlockFailure) return error;
  if (error instanceof AddressDeniedError) return error.isAllowedName ? metadataDenied(hop) : hostDenied(hop);
  const label = labelOf(hop);
  const reason = reasonOf(error);
  if (codeOf(error) === 'UND_ERR_INVALID_ARG' || codeOf(error) === 'UND_ERR_NOT_SUPPORTED') {
    return notRetryable(
      'BLW_ARG_INVALID',
      `${label}: got a request that HTTP does not allow (${reason}), expected a valid one; compare the arguments with the page of the block`,
      { cause: error },
    );
  }
  if (hasStarted || hop.followsEffect) {
    return retryable(
      'BLW_HTTP_OUTCOME_UNKNOWN',
      `${label}: got no answer after the request was sent (${reason}), expected one; check on the server whether the call took effect`,
      { cause: error },
    );
  }
  return retryable(
    'BLW_HTTP_UNREACHABLE',
    `${label}: got no connection (${reason}), expected one; nothing was sent; check name, port, TLS and network`,
    { cause: error },
  );
}

/** Says nothing of the addresses behind a name: they are the operator's, the flow may be a stranger's. */
function hostDenied(hop: Hop): BlockFailure {
  const host = normalizeHost(hop.url.hostname);
  const place = `${host}:${portOf(hop.url)}`;
  return notRetryable(
    'BLW_HTTP_HOST_DENIED',
    `${labelOf(hop)}: got the host ${host}, which is not, or not only, at public addresses; expected a public host; the worker's ` +
      `operator can allow it with --allow-host ${place}, or for this tenant alone with privateHosts: [${JSON.stringify(place)}] in the policy`,
  );
}

function metadataDenied(hop: Hop): BlockFailure {
  return notRetryable(
    'BLW_HTTP_HOST_DENIED',
    `${labelOf(hop)}: got a name that leads to link-local addresses or a metadata service, expected one that does not, ` +
      'although it is allowed; these have to be allowed by their address',
  );
}

/** Words for a cause that hold no data of the request: its code, or undici's and Node's own message. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  // Its message lists the addresses that were tried.
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'the connection took too long';
  if (code !== undefined && !code.startsWith('UND_')) return code;
  return isNativeError(error) && error.message !== '' ? error.message : 'no reason given';
}

function codeOf(error: unknown): string | undefined {
  return isNativeError(error) && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
}

function labelOf({ method, url }: { method: string; url: URL }): string {
  return `${method} ${describeUrl(url)}`;
}
