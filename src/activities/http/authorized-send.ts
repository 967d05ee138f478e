import { createHash } from 'node:crypto';
import { isSafeMethod } from '../../dsl/http-methods';
import { AttemptPorts } from '../attempt-ports';
import type { BlockContext } from '../block';
import { notRetryable } from '../block-failure';
import { type Fence, outdated } from '../fence';
import type { HttpClient, HttpRequest, HttpResponse } from '../ports/http-client';
import type { Authentication, PasswordCredentials } from './authentication';
import type { HttpCall } from './call';
import { type DigestChallenge, digestAuthorization, findDigestChallenge } from './digest';
import { type ObtainedToken, obtainToken } from './token-cache';

/** How a call is sent. */
export interface SendOptions {
  readonly signal: AbortSignal;
  readonly followRedirects: boolean;
  /** Called before the first byte of the call itself is sent. */
  readonly onSending?: () => void;
}

/** Sends a call with these additional headers. */
type Send = (headers?: Readonly<Record<string, string>>, url?: URL) => Promise<HttpResponse>;

/**
 * Sends a call, authenticated where its headers are not enough for that: with a token (oauth2, oidc) or as an answer to a
 * challenge (digest). A 401 to a token from an earlier call, or to a nonce, is answered once with a new one: the server has
 * not carried the request out. Throws BLW_AUTH_FAILED, and what the HTTP client throws.
 */
export function sendAuthorized(call: HttpCall, context: BlockContext, options: SendOptions): Promise<HttpResponse> {
  const { authentication = {} } = call;
  const send = sender(call, context, options);
  const { digest, oauth2, oidc } = authentication;
  if (digest !== undefined) return sendWithDigest(call, { send, digest, context });
  if (oauth2 === undefined && oidc === undefined) return send();
  return sendWithToken(send, (refused) => tokenOf(authentication, context, { signal: options.signal, ...refused }));
}

function sender(call: HttpCall, { ports, fence }: BlockContext, options: SendOptions): Send {
  const { method, headers, body } = call;
  return (more = {}, url = call.url) => {
    const content = body === undefined ? {} : { body };
    const request = { method, url, headers: { ...headers, ...more }, ...content, ...options };
    return isSafeMethod(method) ? ports.http.send(request) : sendFenced(request, ports.http, fence);
  };
}

/**
 * Sends a request that changes something, where the attempt is still current at that very moment. To connect may have taken
 * so long that this is in doubt; then it is found out, and the request is sent on the connection that there is now.
 */
async function sendFenced(request: HttpRequest, client: HttpClient, fence: Fence): Promise<HttpResponse> {
  let hasStarted = false;
  let isRefused = false;
  const onSending = (): void => {
    isRefused = !fence.isFresh();
    if (isRefused) throw outdated('it is not known whether it is still current');
    hasStarted = true;
    request.onSending?.();
  };
  for (;;) {
    await fence.confirm();
    try {
      return await client.send({ ...request, onSending });
    } catch (error) {
      if (!isRefused || hasStarted || request.signal.aborted) throw error;
    }
  }
}

function tokenOf(
  { oauth2, oidc }: Authentication,
  context: BlockContext,
  options: { signal: AbortSignal; refused?: string },
): Promise<ObtainedToken> {
  if (oauth2 !== undefined) return obtainToken('oauth2', oauth2, context, options);
  if (oidc !== undefined) return obtainToken('oidc', oidc, context, options);
  throw new Error('a token was asked for without oauth2 or oidc');
}

async function sendWithToken(
  send: Send,
  obtain: (refused?: { refused: string }) => Promise<ObtainedToken>,
): Promise<HttpResponse> {
  const { token, isKept } = await obtain();
  const response = await send({ authorization: `Bearer ${token}` });
  if (response.statusCode !== 401 || !isKept) return response;
  discard(response);
  const fresh = await obtain({ refused: token });
  return await send({ authorization: `Bearer ${fresh.token}` });
}

/** Challenges that servers have sent, with how often their nonce has been used. */
type Nonces = Map<string, { readonly challenge: DigestChallenge; count: number }>;

const MAX_NONCES = 1_000;
const noncesByClient = new WeakMap<HttpClient, Nonces>();

async function sendWithDigest(
  call: HttpCall,
  { send, digest, context }: { send: Send; digest: PasswordCredentials; context: BlockContext },
): Promise<HttpResponse> {
  const nonces = noncesOf(AttemptPorts.clientOf(context.ports));
  const identity = [context.step.tenant, call.url.origin, digest.username, digest.password];
  const key = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  const authorization = (url: URL): Record<string, string> => {
    const known = nonces.get(key);
    if (known === undefined) return {};
    known.count += 1;
    const target = { method: call.method, url, nonceCount: known.count };
    return { authorization: digestAuthorization(known.challenge, digest, target) };
  };
  const first = await send(authorization(call.url));
  if (first.statusCode !== 401 || !isSameRequest(call, first.url)) return first;
  const challenge = findDigestChallenge(first.headers['www-authenticate']);
  discard(first);
  if (challenge === undefined) {
    throw notRetryable(
      'BLW_AUTH_FAILED',
      `${call.label}: got status 401 without a digest challenge that can be answered, expected one with MD5, SHA-256 or SHA-512-256 and qop auth; see what the server asks for`,
    );
  }
  if (nonces.size >= MAX_NONCES) nonces.clear();
  nonces.set(key, { challenge, count: 0 });
  return await send(authorization(first.url), first.url);
}

function noncesOf(client: HttpClient): Nonces {
  let nonces = noncesByClient.get(client);
  if (nonces === undefined) {
    nonces = new Map();
    noncesByClient.set(client, nonces);
  }
  return nonces;
}

/** After a redirect credentials go only to the same origin, and only where the redirect cannot have changed the method. */
function isSameRequest(call: HttpCall, url: URL): boolean {
  if (url.href === call.url.href) return true;
  return url.origin === call.url.origin && (call.method === 'GET' || call.method === 'HEAD');
}

function discard(response: HttpResponse): void {
  response.body.on('error', () => undefined).destroy();
}
