import { createHmac, randomUUID } from 'node:crypto';
import { notRetryable } from '../block-failure';
import type { OAuth2Policy, OAuth2Token } from './authentication';

/** A request for a token, as it is sent. */
export interface TokenRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type Parameter = [name: string, value: string];

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Short names for the token types of RFC 8693 section 3. */
const TOKEN_TYPES = ['access_token', 'refresh_token', 'id_token', 'saml1', 'saml2', 'jwt'];
/** How long an assertion that is made here is valid; it is used at once. */
const ASSERTION_SECONDS = 60;

/**
 * The request of a policy's grant (RFC 6749 sections 4.3, 4.4 and 6, RFC 8693 section 2.1), with the client's
 * authentication (RFC 6749 section 2.3, RFC 7523 section 2.2). Throws BLW_AUTH_FAILED where the policy lacks something.
 */
export function tokenRequest(policy: OAuth2Policy, endpoint: URL): TokenRequest {
  const client = clientAuthentication(policy, endpoint);
  const parameters = [...grantParameters(policy), ...client.parameters];
  const headers = { accept: 'application/json', ...client.headers };
  if (policy.request?.encoding === 'application/json') {
    return { headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(asObject(parameters)) };
  }
  const body = new URLSearchParams(parameters).toString();
  return { headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body };
}

/** A parameter that is there several times becomes a list. */
function asObject(parameters: readonly Parameter[]): Record<string, string | string[]> {
  const names = [...new Set(parameters.map(([name]) => name))];
  return Object.fromEntries(
    names.map((name) => {
      const [first = '', ...more] = parameters.filter(([other]) => other === name).map(([, value]) => value);
      return [name, more.length === 0 ? first : [first, ...more]];
    }),
  );
}

function grantParameters(policy: OAuth2Policy): Parameter[] {
  const { grant, username, password, subject, actor, scopes = [], audiences = [] } = policy;
  const parameters: Parameter[] = [['grant_type', grant]];
  if (grant === 'password') {
    parameters.push(['username', needed(username, 'username')], ['password', needed(password, 'password')]);
  } else if (grant === 'refresh_token') {
    // OWS has no property of its own for it.
    parameters.push(['refresh_token', needed(subject?.token, 'subject')]);
  } else if (grant !== 'client_credentials') {
    parameters.push(...exchanged('subject', needed(subject, 'subject')));
    if (actor !== undefined) parameters.push(...exchanged('actor', actor));
  }
  if (scopes.length > 0) parameters.push(['scope', scopes.join(' ')]);
  return [...parameters, ...audiences.map((audience): Parameter => ['audience', audience])];
}

function exchanged(role: 'subject' | 'actor', { token, type }: OAuth2Token): Parameter[] {
  const fullType = TOKEN_TYPES.includes(type) ? `urn:ietf:params:oauth:token-type:${type}` : type;
  return [
    [`${role}_token`, token],
    [`${role}_token_type`, fullType],
  ];
}

function clientAuthentication(
  { client = {} }: OAuth2Policy,
  endpoint: URL,
): { readonly parameters: Parameter[]; readonly headers?: Readonly<Record<string, string>> } {
  const { id, secret, authentication = 'client_secret_post' } = client;
  if (authentication === 'none') return { parameters: id === undefined ? [] : [['client_id', id]] };
  const clientId = needed(id, 'client.id');
  switch (authentication) {
    case 'client_secret_basic': {
      const credentials = `${formEncode(clientId)}:${formEncode(needed(secret, 'client.secret'))}`;
      return { parameters: [], headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } };
    }
    case 'client_secret_jwt':
      return assertion(clientId, signedAssertion(clientId, needed(secret, 'client.secret'), endpoint));
    case 'private_key_jwt':
      return assertion(clientId, needed(client.assertion, 'client.assertion'));
    default:
      return {
        parameters: [
          ['client_id', clientId],
          ['client_secret', needed(secret, 'client.secret')],
        ],
      };
  }
}

function assertion(clientId: string, jwt: string): { parameters: Parameter[] } {
  return {
    parameters: [
      ['client_id', clientId],
      ['client_assertion_type', ASSERTION_TYPE],
      ['client_assertion', jwt],
    ],
  };
}

/** RFC 6749 section 2.3.1: both are form-encoded before they are joined. */
function formEncode(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice(2);
}

/** OpenID Connect Core section 9, `client_secret_jwt`, with HMAC SHA-256. */
function signedAssertion(clientId: string, secret: string, endpoint: URL): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: endpoint.href,
    jti: randomUUID(),
    iat: now,
    exp: now + ASSERTION_SECONDS,
  };
  const content = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

function needed<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw notRetryable('BLW_AUTH_FAILED', `authentication: ${name} is missing, expected it for this grant and client`);
}
