import { isIdempotentMethod } from '../../dsl/http-methods';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import type { BlockContext, StepIdentity } from '../block';
import { notRetryable } from '../block-failure';
import type { HttpResponse } from '../ports/http-client';
import type { Authentication } from './authentication';
import { type SendOptions, sendAuthorized } from './authorized-send';
import { checkHeaderValue, parseRequestHeaders, toVisibleAscii } from './headers';
import { parseMediaType } from './media-type';
import { describeUrl, parseHttpUrl } from './url';

type Scalar = string | number | boolean;

/** The arguments that the HTTP blocks share, as their schemas leave them. */
export interface HttpArguments {
  readonly method?: string;
  readonly endpoint: {
    readonly uri: string;
    readonly authentication?: Authentication;
  };
  readonly headers?: Readonly<Record<string, Scalar>>;
  readonly query?: JsonObject;
  readonly body?: Json;
}

/** One HTTP call as it will be sent. */
export interface HttpCall {
  /** Upper case. */
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Method and URL as messages show them. */
  readonly label: string;
  /** True where sending it twice leaves what sending it once leaves: by method (RFC 9110 section 9.2.2) or the author's word. */
  readonly isRepeatable: boolean;
  /** What the headers do not have yet: a token that is still to be got, or a challenge to be answered. */
  readonly authentication?: Pick<Authentication, 'digest' | 'oauth2' | 'oidc'>;
}

/**
 * Makes the call from a block's arguments.
 * Throws BLW_HTTP_URL or BLW_ARG_INVALID (not retryable); messages show no header value, query value or credential.
 */
export function buildHttpCall(args: HttpArguments, step: StepIdentity): HttpCall {
  const method = (args.method ?? 'GET').toUpperCase();
  const url = parseHttpUrl(args.endpoint.uri);
  addQuery(url, args.query ?? {});
  const headers = parseRequestHeaders(args.headers ?? {});
  const body = args.body === undefined ? undefined : encodeBody(args.body, headers);
  const { authentication } = args.endpoint;
  // A header of the author's own is what counts.
  const isLeft = authentication !== undefined && !headers.has('authorization');
  addAuthentication(authentication, headers);
  if ((method === 'POST' || method === 'PATCH') && !headers.has('idempotency-key')) {
    headers.set('idempotency-key', toVisibleAscii(step.idempotencyKey));
  }
  return {
    method,
    url,
    headers: Object.fromEntries(headers),
    ...(body === undefined ? {} : { body }),
    label: `${method} ${describeUrl(url)}`,
    isRepeatable: step.idempotent || isIdempotentMethod(method),
    ...(isLeft && !headers.has('authorization') ? { authentication } : {}),
  };
}

/** Sends the call through the port, authenticated as it says. */
export function sendCall(call: HttpCall, context: BlockContext, options: SendOptions): Promise<HttpResponse> {
  return sendAuthorized(call, context, options);
}

/** Appends by hand: URLSearchParams would write the query that is there anew, which breaks signed URLs. */
function addQuery(url: URL, query: JsonObject): void {
  const pairs = Object.entries(query).flatMap(([name, value]) => queryPairs(name, value));
  if (pairs.length === 0) return;
  const added = pairs.map(([name, value]) => `${encodeQuery(name, name)}=${encodeQuery(name, value)}`).join('&');
  url.search = url.search === '' ? added : `${url.search}&${added}`;
}

function queryPairs(name: string, value: Json): [string, string][] {
  const values = Array.isArray(value) ? value : [value];
  return values
    .filter((item) => item !== null)
    .map((item) => {
      if (typeof item !== 'object') return [name, String(item)];
      throw notRetryable(
        'BLW_ARG_INVALID',
        `with.query ${JSON.stringify(name)}: got ${describeJsonType(item)}${Array.isArray(value) ? ' in the array' : ''}, ` +
          'expected text, a number, a boolean, null or an array of these; write an object as text first',
      );
    });
}

function encodeQuery(name: string, text: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw notRetryable(
      'BLW_ARG_INVALID',
      `with.query ${JSON.stringify(name)}: got half of a surrogate pair, expected text that UTF-8 can write`,
    );
  }
  return encodeURIComponent(text);
}

/** Encodes the body as the spec of `call: http` says, and adds its content type where the author gave none. */
function encodeBody(body: Json, headers: Map<string, string>): string | Uint8Array {
  if (typeof body === 'string') {
    setDefault(headers, 'content-type', 'text/plain; charset=utf-8');
    return body;
  }
  const bytes = isBytes(body, headers) ? decodeBase64(body.base64) : undefined;
  if (bytes !== undefined) return bytes;
  setDefault(headers, 'content-type', 'application/json');
  return JSON.stringify(body);
}

function isBytes(body: Json, headers: Map<string, string>): body is { base64: string } {
  const contentType = headers.get('content-type');
  return (
    contentType !== undefined &&
    parseMediaType(contentType).kind === 'binary' &&
    isJsonObject(body) &&
    Object.keys(body).length === 1 &&
    typeof body.base64 === 'string'
  );
}

function decodeBase64(text: string): Uint8Array {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, 'base64');
  throw notRetryable(
    'BLW_ARG_INVALID',
    'with.body.base64: got text that is not base64, expected RFC 4648 with padding and without line breaks',
  );
}

function addAuthentication(authentication: Authentication | undefined, headers: Map<string, string>): void {
  const { basic, bearer } = authentication ?? {};
  if (basic !== undefined) {
    if (basic.username.includes(':')) {
      throw notRetryable(
        'BLW_ARG_INVALID',
        'with.endpoint.authentication.basic.username: got a colon, expected none; RFC 7617 cannot carry it',
      );
    }
    const credentials = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    setDefault(headers, 'authorization', `Basic ${credentials}`);
  }
  if (bearer !== undefined) {
    setDefault(headers, 'authorization', checkHeaderValue('authorization', `Bearer ${bearer.token}`));
  }
}

function setDefault(headers: Map<string, string>, name: string, value: string): void {
  if (!headers.has(name)) headers.set(name, value);
}
