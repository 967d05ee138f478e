import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoopbackServer, LoopbackServers } from './loopback';

/** How an authorization server for tests answers; may be changed between requests. */
export interface AuthorizationBehaviour {
  /** Status of the token endpoint, and what it sends instead of a token. */
  refuse?: { status: number; body: unknown; headers?: Record<string, string> };
  /** Beside `access_token`; by default a bearer for an hour. */
  answer: Record<string, unknown>;
  /** The discovery document's issuer; by default the server's origin with `/realms/shop`. */
  issuer?: string;
  /** Made of the number of tokens given so far. */
  token: (count: number) => string;
}

/** A loopback server with OAuth2's token endpoints, OpenID Connect's discovery, and a resource for what it gave last. */
export interface AuthorizationServer extends LoopbackServer {
  readonly behaviour: AuthorizationBehaviour;
  /** Bodies of the requests for tokens, forms as objects. */
  tokenRequests(): Record<string, unknown>[];
  /** From now on no token that was given is valid. */
  revoke(): void;
}

/** Paths: `/realms/shop/oauth2/token` and `/connect/token` give tokens, `/resource` wants the last one, `/openapi.json` describes it. */
export async function startAuthorizationServer(servers: LoopbackServers): Promise<AuthorizationServer> {
  const behaviour: AuthorizationBehaviour = {
    answer: { token_type: 'Bearer', expires_in: 3_600 },
    token: (count) => `access-token-${count}`,
  };
  let count = 0;
  let valid = '';
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    const send = (status: number, body: unknown, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body));
    };
    switch (request.url) {
      case '/realms/shop/.well-known/openid-configuration':
        return send(200, {
          issuer: behaviour.issuer ?? `${server.origin}/realms/shop`,
          token_endpoint: `${server.origin}/connect/token`,
        });
      case '/realms/shop/oauth2/token':
      case '/connect/token':
        if (behaviour.refuse !== undefined) {
          return send(behaviour.refuse.status, behaviour.refuse.body, behaviour.refuse.headers);
        }
        count += 1;
        valid = behaviour.token(count);
        return send(200, { access_token: valid, ...behaviour.answer });
      case '/openapi.json':
        return send(200, {
          openapi: '3.0.3',
          info: { title: 'a', version: '1' },
          servers: [{ url: server.origin }],
          paths: { '/resource': { get: { operationId: 'read', responses: { 200: { description: 'ok' } } } } },
        });
      case '/resource':
        if (request.headers.authorization !== `Bearer ${valid}`) return send(401, { error: 'invalid_token' });
        return send(200, { saw: request.headers.authorization });
      default:
        return send(404, {});
    }
  };
  const server = await servers.http(respond);
  return {
    ...server,
    behaviour,
    revoke: () => {
      valid = 'none';
    },
    tokenRequests: () =>
      server.requests
        .filter(({ method }) => method === 'POST')
        .map(({ headers, body }) =>
          headers['content-type'] === 'application/json'
            ? (JSON.parse(body) as Record<string, unknown>)
            : Object.fromEntries(new URLSearchParams(body)),
        ),
  };
}

/** A loopback server that wants digest authentication of `Mufasa` with `Circle of Life`; `/moved` leads to `/there`. */
export interface DigestServer extends LoopbackServer {
  /** Challenges that it sends, without `nonce`. */
  challenges: string[];
  nonce: string;
  /** Accepted requests, as `nc` of each. */
  readonly counts: string[];
}

const HASHES: Record<string, string> = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

/** Checks answers by a calculation of its own, written after RFC 7616 section 3.4. */
export async function startDigestServer(servers: LoopbackServers): Promise<DigestServer> {
  const state = {
    challenges: ['realm="api@example.org", qop="auth", algorithm=SHA-256'],
    nonce: 'nonce-1',
    counts: [] as string[],
  };
  const server = await servers.http((request, response) => {
    if (request.url === '/moved') {
      response.writeHead(302, { location: '/there' });
      response.end();
      return;
    }
    const fields = fieldsOf(request.headers.authorization ?? '');
    if (
      fields.nonce === state.nonce &&
      fields.response === expected(fields, request.method ?? '') &&
      fields.uri === request.url
    ) {
      state.counts.push(fields.nc ?? 'none');
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"ok":true}');
      return;
    }
    const challenges = state.challenges.map((challenge) => `Digest nonce="${state.nonce}", ${challenge}`);
    response.writeHead(401, { 'www-authenticate': challenges });
    response.end();
  });
  return Object.assign(state, server);
}

function fieldsOf(header: string): Record<string, string> {
  const pairs = [...header.matchAll(/(\w+)=(?:"((?:\\.|[^"\\])*)"|([^,\s]+))/g)];
  return Object.fromEntries(pairs.map(([, name, quoted, plain]) => [name, quoted ?? plain ?? '']));
}

function expected(fields: Record<string, string>, method: string): string {
  const algorithm = fields.algorithm ?? 'MD5';
  const name = algorithm.replace('-sess', '');
  const hash = (text: string) =>
    createHash(HASHES[name] ?? 'md5')
      .update(text)
      .digest('hex');
  const user = `Mufasa:${fields.realm}`;
  const isKnown = fields.userhash === 'true' ? fields.username === hash(user) : fields.username === 'Mufasa';
  if (!isKnown) return 'nobody';
  const first = hash(`${user}:Circle of Life`);
  const session = algorithm.endsWith('-sess') ? hash(`${first}:${fields.nonce}:${fields.cnonce}`) : first;
  const second = hash(`${method}:${fields.uri}`);
  if (fields.qop === undefined) return hash(`${session}:${fields.nonce}:${second}`);
  return hash(`${session}:${fields.nonce}:${fields.nc}:${fields.cnonce}:${fields.qop}:${second}`);
}
