import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import type { BlockContext } from '../block';
import { BlockFailure, notRetryable, retryable } from '../block-failure';
import type { HttpRequest, HttpResponse } from '../ports/http-client';
import { readBody } from './answer';
import type { OAuth2Policy } from './authentication';
import { tokenRequest } from './oauth2-request';
import { parseRetryAfter } from './status-failure';
import { describeUrl } from './url';

/** A token, and how long it may be used. */
export interface AccessToken {
  readonly token: string;
  /** Absent where the server does not say. */
  readonly lifetimeMs?: number;
  /** A new one that takes the place of that which was sent. */
  readonly refreshToken?: string;
}

/** Largest answer of an authorization server. */
const MAX_ANSWER_BYTES = 262_144;
const MAX_SHOWN = 200;
const DISCOVERY = '/.well-known/openid-configuration';
const DEFAULT_TOKEN_PATH = '/oauth2/token';

/**
 * Gets a token as a policy says. Throws BLW_AUTH_FAILED: retryable where the server is in trouble, not where it refuses;
 * what the HTTP client throws otherwise. No message has a credential.
 */
export async function fetchToken(
  scheme: 'oauth2' | 'oidc',
  policy: OAuth2Policy,
  context: BlockContext,
  signal: AbortSignal,
): Promise<AccessToken> {
  const endpoint = scheme === 'oidc' ? await discover(policy, context, signal) : tokenEndpoint(policy);
  const { headers, body } = tokenRequest(policy, endpoint);
  const answer = await ask({ method: 'POST', url: endpoint, headers, body }, context, signal);
  const token = readToken(answer, endpoint);
  context.conceal?.(token.token);
  if (token.refreshToken !== undefined) context.conceal?.(token.refreshToken);
  checkIssuer(token.token, policy.issuers, endpoint);
  return token;
}

/** `endpoints.token` is relative to the authority, path below path: `/realms/shop` and `/oauth2/token` are joined. */
function tokenEndpoint({ authority, endpoints = {} }: OAuth2Policy): URL {
  const { token = DEFAULT_TOKEN_PATH } = endpoints;
  if (/^https?:\/\//i.test(token)) return parseUrl(token, 'endpoints.token');
  const { href } = parseUrl(authority, 'authority');
  return parseUrl(`${href.replace(/\/+$/, '')}/${token.replace(/^\/+/, '')}`, 'endpoints.token');
}

/** OpenID Connect Discovery 1.0, section 4. The issuer must be the authority, or one of the policy's issuers (section 4.3). */
async function discover(policy: OAuth2Policy, context: BlockContext, signal: AbortSignal): Promise<URL> {
  const authority = policy.authority.replace(/\/+$/, '');
  const issuer = authority.endsWith(DISCOVERY) ? authority.slice(0, -DISCOVERY.length) : authority;
  const url = parseUrl(`${issuer}${DISCOVERY}`, 'authority');
  const headers = { accept: 'application/json' };
  const document = await ask({ method: 'GET', url, headers }, context, signal);
  const { issuer: found, token_endpoint: endpoint } = document;
  const valid = policy.issuers ?? [issuer, `${issuer}/`];
  if (typeof found !== 'string' || !valid.includes(found)) {
    throw failed(url, `the issuer ${shown(found ?? null)}`, `${issuer}; name others under \`issuers\``);
  }
  if (typeof endpoint !== 'string') throw failed(url, 'no token_endpoint', 'one');
  return parseUrl(endpoint, 'token_endpoint');
}

function parseUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return url;
  throw notRetryable(
    'BLW_AUTH_FAILED',
    `authentication: ${what}: expected an absolute http or https URL without credentials`,
  );
}

/** Asks an authorization server and reads its JSON. It is never sent elsewhere: a redirect would take credentials along. */
async function ask(
  request: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>,
  context: BlockContext,
  signal: AbortSignal,
): Promise<JsonObject> {
  const { url } = request;
  try {
    const response = await context.ports.http.send({ ...request, signal, followRedirects: false });
    const tooLarge = () => failed(url, `an answer of more than ${MAX_ANSWER_BYTES} bytes`, 'less');
    const bytes = await readBody(response.body, MAX_ANSWER_BYTES, tooLarge);
    const answer = parseObject(bytes.toString());
    if (response.statusCode === 200 && answer !== undefined) return answer;
    throw refusal(url, response, answer);
  } catch (error) {
    // Nothing of the step itself has been sent by then.
    if (error instanceof BlockFailure && error.data.code === 'BLW_HTTP_OUTCOME_UNKNOWN') {
      throw retryable('BLW_AUTH_FAILED', error.message, { cause: error });
    }
    throw error;
  }
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** RFC 6749 section 5.2: `error` and `error_description`. */
function refusal(url: URL, { statusCode, headers }: HttpResponse, answer: JsonObject = {}): BlockFailure {
  const reasons = [answer.error, answer.error_description].filter((text) => typeof text === 'string').map(shown);
  const got = `status ${statusCode}${reasons.length === 0 ? '' : ` (${reasons.join(': ')})`}`;
  if (statusCode !== 429 && statusCode < 500) return failed(url, got, 'status 200 and a JSON object');
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now());
  return retryable(
    'BLW_AUTH_FAILED',
    describe(url, got, 'status 200'),
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

function readToken(answer: JsonObject, endpoint: URL): AccessToken {
  const { access_token: token, token_type: type = 'Bearer', expires_in: seconds, refresh_token: refreshToken } = answer;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
    throw failed(endpoint, 'no usable access_token', 'one of visible ASCII');
  }
  if (String(type).toLowerCase() !== 'bearer') throw failed(endpoint, `a token of type ${shown(type)}`, 'Bearer');
  const lifetime = Number(seconds ?? Number.NaN);
  return {
    token,
    ...(lifetime > 0 ? { lifetimeMs: lifetime * 1_000 } : {}),
    ...(typeof refreshToken === 'string' ? { refreshToken } : {}),
  };
}

/** The claim `iss` of a JWT. Its signature is not checked: the server that gave it was reached under its own name. */
function checkIssuer(token: string, issuers: readonly string[] | undefined, endpoint: URL): void {
  if (issuers === undefined) return;
  const claims = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const issuer = claims?.iss;
  if (typeof issuer === 'string' && issuers.includes(issuer)) return;
  const got =
    claims === undefined ? 'a token whose issuer cannot be read' : `a token of the issuer ${shown(issuer ?? null)}`;
  throw failed(endpoint, got, `a JWT of one of ${issuers.join(', ')}`);
}

function failed(url: URL, got: string, expected: string): BlockFailure {
  return notRetryable('BLW_AUTH_FAILED', describe(url, got, expected));
}

function describe(url: URL, got: string, expected: string): string {
  return `authorization server ${describeUrl(url)}: got ${got}, expected ${expected}`;
}

function shown(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replace(/[^\x20-\x7e]/g, ' ');
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}…` : line;
}
