import { createHmac } from 'node:crypto';
import type { Ports } from '../../src/activities/block';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { parseChallenges } from '../../src/activities/http/challenges';
import { digestAuthorization, findDigestChallenge } from '../../src/activities/http/digest';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { Json, JsonObject } from '../../src/dsl/json';
import {
  type AuthorizationBehaviour,
  type AuthorizationServer,
  type DigestServer,
  startAuthorizationServer,
  startDigestServer,
} from '../helpers/authorization-server';
import { failureOf, makeContext } from '../helpers/block-context';
import { LoopbackServers } from '../helpers/loopback';

const servers = new LoopbackServers();
const clients: Ports['http'][] = [];
afterEach(async () => {
  await Promise.all([servers.close(), ...clients.splice(0).map((client) => client.close())]);
});

function newClient(): Ports['http'] {
  const client = createHttpClient({ allowHosts: ['127.0.0.1'] });
  clients.push(client);
  return client;
}

describe.each(['oauth2', 'oidc'] as const)('%s', (scheme) => {
  let server: AuthorizationServer;
  let http: Ports['http'];
  let concealed: string[];
  beforeEach(async () => {
    server = await startAuthorizationServer(servers);
    http = newClient();
    concealed = [];
  });

  const GRANT = { grant: 'client_credentials', client: { id: 'me', secret: 'hunter22' } };
  const call = (
    policy: JsonObject = {},
    options: { tenant?: string; method?: string; signal?: AbortSignal } = {},
  ): Promise<Json> => {
    const { tenant = 'acme', method = 'get', signal } = options;
    const context = makeContext({ http }, { step: { tenant }, ...(signal === undefined ? {} : { signal }) });
    const properties = { authority: `${server.origin}/realms/shop`, ...GRANT, ...policy };
    const endpoint = { uri: `${server.origin}/resource`, authentication: { [scheme]: properties } };
    return httpRequest({ method, endpoint }, { ...context, conceal: (credential) => concealed.push(credential) });
  };

  it('sends a token that it got with the credentials, and conceals it', async () => {
    expect(await call()).toEqual({ saw: 'Bearer access-token-1' });
    expect(server.tokenRequests()).toEqual([
      { grant_type: 'client_credentials', client_id: 'me', client_secret: 'hunter22' },
    ]);
    const path = scheme === 'oidc' ? '/connect/token' : '/realms/shop/oauth2/token';
    expect(server.requests.find(({ method }) => method === 'POST')?.url).toBe(path);
    expect(concealed).toContain('access-token-1');
  });

  it.each<[string, JsonObject, Record<string, unknown>]>([
    ['scopes and audiences', { scopes: ['a', 'b'], audiences: ['c'] }, { scope: 'a b', audience: 'c' }],
    [
      'a password',
      { grant: 'password', username: 'u', password: 'p' },
      { grant_type: 'password', username: 'u', password: 'p' },
    ],
    [
      'a refresh token',
      { grant: 'refresh_token', subject: { token: 'r', type: 'refresh_token' } },
      { grant_type: 'refresh_token', refresh_token: 'r' },
    ],
    [
      'an exchange',
      {
        grant: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject: { token: 's', type: 'access_token' },
        actor: { token: 'a', type: 'urn:x' },
      },
      {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: 's',
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        actor_token: 'a',
        actor_token_type: 'urn:x',
      },
    ],
    [
      'a signed assertion',
      { client: { id: 'me', assertion: 'e.y.z', authentication: 'private_key_jwt' } },
      {
        client_id: 'me',
        client_assertion: 'e.y.z',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_secret: undefined,
      },
    ],
    [
      'a client without a secret',
      { client: { id: 'me', authentication: 'none' } },
      { client_id: 'me', client_secret: undefined },
    ],
  ])('asks with %s', async (_, policy, expected) => {
    await call(policy);
    expect(server.tokenRequests()[0]).toMatchObject(
      Object.fromEntries(Object.entries(expected).filter(([, value]) => value !== undefined)),
    );
    for (const [name, value] of Object.entries(expected)) {
      if (value === undefined) expect(server.tokenRequests()[0]).not.toHaveProperty(name);
    }
  });

  it('asks in JSON, with several audiences as a list', async () => {
    await call({ request: { encoding: 'application/json' }, audiences: ['a', 'b'] });
    expect(server.tokenRequests()).toEqual([
      { grant_type: 'client_credentials', client_id: 'me', client_secret: 'hunter22', audience: ['a', 'b'] },
    ]);
  });

  it('authenticates the client with a header, both parts form-encoded', async () => {
    await call({ client: { id: 'a b', secret: 'p:%', authentication: 'client_secret_basic' } });
    const request = server.requests.find(({ method }) => method === 'POST');
    expect(request?.headers.authorization).toBe(`Basic ${Buffer.from('a+b:p%3A%25').toString('base64')}`);
    expect(request?.body).toBe('grant_type=client_credentials');
  });

  it('signs an assertion with the secret', async () => {
    await call({ client: { id: 'me', secret: 'hunter22', authentication: 'client_secret_jwt' } });
    const [request = {}] = server.tokenRequests();
    const [header = '', claims = '', signature] = String(request.client_assertion).split('.');
    const mac = createHmac('sha256', 'hunter22').update(`${header}.${claims}`).digest('base64url');
    expect(signature).toBe(mac);
    const { iat, exp, ...named } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    expect(named).toMatchObject({
      iss: 'me',
      sub: 'me',
      aud: expect.stringMatching(/\/token$/),
      jti: expect.any(String),
    });
    expect(Number(exp) - Number(iat)).toBe(60);
    expect(request).not.toHaveProperty('client_secret');
  });

  it('keeps a token for the calls that follow', async () => {
    await call();
    await call();
    expect(server.tokenRequests()).toHaveLength(1);
  });

  it('gets one token for calls at the same time', async () => {
    await Promise.all([call(), call(), call()]);
    expect(server.tokenRequests()).toHaveLength(1);
  });

  it('gets a token itself where the call that was getting it is cancelled', async () => {
    const abort = new AbortController();
    const cancelled = call({}, { signal: abort.signal });
    const other = call();
    abort.abort(new Error('cancelled'));
    await expect(cancelled).rejects.toThrow('cancelled');
    expect(await other).toMatchObject({ saw: expect.stringContaining('Bearer access-token-') });
  });

  it.each<[string, JsonObject, { tenant?: string }]>([
    ['tenants', {}, { tenant: 'other' }],
    ['secrets', { client: { id: 'me', secret: 'other' } }, {}],
    ['scopes', { scopes: ['more'] }, {}],
  ])('never shares a token between different %s', async (_, policy, options) => {
    await call();
    await call(policy, options);
    expect(server.tokenRequests()).toHaveLength(2);
  });

  it('asks again where the kept token ends, and does not keep one that is over', async () => {
    // Over before a clock of milliseconds moves.
    server.behaviour.answer = { expires_in: 1e-9 };
    await call();
    await call();
    expect(server.tokenRequests()).toHaveLength(2);
  });

  it('takes one new token where the service refuses the kept one', async () => {
    await call();
    server.revoke();
    expect(await call({}, { method: 'post' })).toEqual({ saw: 'Bearer access-token-2' });
    expect(server.requests.filter(({ url }) => url === '/resource')).toHaveLength(3);
  });

  it('does not go on where the service refuses a new token', async () => {
    const denying = await servers.http((_request, response) => {
      response.writeHead(401);
      response.end();
    });
    const properties = { authority: `${server.origin}/realms/shop`, ...GRANT };
    const endpoint = { uri: denying.origin, authentication: { [scheme]: properties } };
    const send = () => failureOf(httpRequest({ method: 'get', endpoint }, makeContext({ http })));
    expect((await send()).data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 401 });
    expect(denying.requests).toHaveLength(1);
    // The token is kept now: once more with a new one, and no more.
    expect((await send()).data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 401 });
    expect(denying.requests).toHaveLength(3);
  });

  it('uses the refresh token that took the place of the first', async () => {
    const policy = { grant: 'refresh_token', subject: { token: 'first', type: 'refresh_token' } };
    server.behaviour.answer = { refresh_token: 'second', expires_in: 3_600 };
    await call(policy);
    server.revoke();
    await call(policy);
    expect(server.tokenRequests().map(({ refresh_token }) => refresh_token)).toEqual(['first', 'second']);
    expect(concealed).toContain('second');
  });

  it('leaves out all of it where the author sets the header', async () => {
    const endpoint = { uri: `${server.origin}/resource`, authentication: { [scheme]: GRANT } };
    const args = { method: 'get', endpoint, headers: { Authorization: 'Mine x' } };
    expect((await failureOf(httpRequest(args as unknown as JsonObject, makeContext({ http })))).data.status).toBe(401);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Mine x']);
  });

  it('shows that there was an authorization, and not which', async () => {
    const endpoint = {
      uri: `${server.origin}/resource`,
      authentication: { [scheme]: { authority: `${server.origin}/realms/shop`, ...GRANT } },
    };
    const output = await httpRequest({ method: 'get', endpoint, output: 'response' }, makeContext({ http }));
    expect(output).toMatchObject({ request: { headers: { authorization: '[redacted]' } } });
  });

  const jwt = (claims: JsonObject) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

  it('takes a token of one of the issuers', async () => {
    const issuers = [`${server.origin}/realms/shop`, 'https://issuer.test'];
    server.behaviour.token = () => jwt({ iss: 'https://issuer.test' });
    await call({ issuers });
    expect(server.tokenRequests()).toHaveLength(1);
  });

  const refuse = (status: number, body: unknown, headers = {}) => ({ refuse: { status, body, headers } });
  const ISSUERS = { issuers: ['https://issuer.test'] };
  it.each<[string, Partial<AuthorizationBehaviour>, string, JsonObject?]>([
    [
      'says why not',
      refuse(400, { error: 'invalid_client', error_description: 'no\nsuch client' }),
      'got status 400 (invalid_client: no such client), expected status 200',
    ],
    ['says nothing', refuse(401, 'no'), 'got status 401, expected'],
    ['redirects', refuse(307, {}, { location: '/connect/token' }), 'got status 307, expected'],
    ['sends no token', refuse(200, { token: 'x' }), 'got no usable access_token'],
    ['sends no JSON object', refuse(200, ['x']), 'got status 200, expected status 200 and a JSON object'],
    ['sends too much', refuse(200, 'x'.repeat(300_000)), 'got an answer of more than 262144 bytes'],
    ['sends a token that no header can carry', { token: () => 'a\r\nb' }, 'got no usable access_token'],
    ['sends another kind of token', { answer: { token_type: 'DPoP' } }, 'got a token of type DPoP, expected Bearer'],
    [
      'sends a token of another issuer',
      { token: () => jwt({ iss: 'https://evil.test' }), issuer: 'https://issuer.test' },
      'got a token of the issuer https://evil.test, expected a JWT of one of',
      ISSUERS,
    ],
    [
      'sends an opaque token, and issuers are named',
      { issuer: 'https://issuer.test' },
      'got a token whose issuer cannot be read',
      ISSUERS,
    ],
  ])('fails for good where the server %s', async (_, behaviour, message, policy = {}) => {
    Object.assign(server.behaviour, behaviour);
    const failure = await failureOf(call(policy));
    expect(failure.message).toContain(message);
    expect(failure.data).toMatchObject({
      code: 'BLW_AUTH_FAILED',
      status: 401,
      type: expect.stringMatching(/\/authentication$/),
    });
    expect(failure.options.retryable).toBe(false);
    expect(JSON.stringify(failure.data)).not.toContain('hunter22');
    expect(server.requests.filter(({ url }) => url === '/resource')).toEqual([]);
  });

  it.each([429, 500, 503])('may be tried again after %d of the server', async (status) => {
    server.behaviour.refuse = { status, body: {}, headers: { 'retry-after': '7' } };
    const failure = await failureOf(call({}, { method: 'post' }));
    expect(failure.data.code).toBe('BLW_AUTH_FAILED');
    expect(failure.options).toMatchObject({ retryable: true, retryAfterMs: 7_000 });
  });

  it('may be tried again where the server cannot be reached, also for a post', async () => {
    const authority = `http://127.0.0.1:${await servers.closedPort()}`;
    const failure = await failureOf(call({ authority }, { method: 'post' }));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
    expect(failure.options.retryable).toBe(true);
  });

  it('may be tried again where the answer of the server was lost, also for a post', async () => {
    const lossy = await servers.tcp((socket) => socket.once('data', () => socket.destroy()));
    const failure = await failureOf(call({ authority: lossy.origin }, { method: 'post' }));
    expect(failure.data.code).toBe('BLW_AUTH_FAILED');
    expect(failure.options.retryable).toBe(true);
  });

  it('does not ask a server that the worker may not reach', async () => {
    const failure = await failureOf(call({ authority: 'http://10.0.0.1' }));
    expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
  });

  it.each(['x', 'ftp://x.test', 'http://me:hunter22@x.test'])('refuses the authority %s', async (authority) => {
    const failure = await failureOf(call({ authority }));
    expect(failure.data.code).toBe('BLW_AUTH_FAILED');
    expect(failure.message).not.toContain('hunter22');
  });
});

describe('oauth2 endpoints', () => {
  it.each([
    ['/t', '/realms/shop/', '/realms/shop/t'],
    ['t', '/realms/shop', '/realms/shop/t'],
    [undefined, '', '/oauth2/token'],
  ])('joins %p to %p', async (token, path, expected) => {
    const server = await servers.http((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(request.method === 'POST' ? '{"access_token":"x"}' : '{}');
    });
    const oauth2 = {
      authority: `${server.origin}${path}`,
      grant: 'client_credentials',
      client: { authentication: 'none' },
      ...(token === undefined ? {} : { endpoints: { token } }),
    };
    const endpoint = { uri: server.origin, authentication: { oauth2 } };
    await httpRequest({ method: 'get', endpoint }, makeContext({ http: newClient() }));
    expect(server.requests[0]?.url).toBe(expected);
  });
});

describe('oidc discovery', () => {
  it('takes an authority that names the document itself', async () => {
    const server = await startAuthorizationServer(servers);
    const oidc = {
      authority: `${server.origin}/realms/shop/.well-known/openid-configuration`,
      grant: 'client_credentials',
      client: { authentication: 'none' },
    };
    const endpoint = { uri: `${server.origin}/resource`, authentication: { oidc } };
    const context = makeContext({ http: newClient() });
    expect(await httpRequest({ method: 'get', endpoint }, context)).toMatchObject({ saw: 'Bearer access-token-1' });
  });

  it('refuses a document of another issuer', async () => {
    const server = await startAuthorizationServer(servers);
    server.behaviour.issuer = 'https://evil.test';
    const oidc = {
      authority: `${server.origin}/realms/shop`,
      grant: 'client_credentials',
      client: { authentication: 'none' },
    };
    const endpoint = { uri: `${server.origin}/resource`, authentication: { oidc } };
    const failure = await failureOf(httpRequest({ method: 'get', endpoint }, makeContext({ http: newClient() })));
    expect(failure.data).toMatchObject({ code: 'BLW_AUTH_FAILED' });
    expect(failure.message).toContain('got the issuer https://evil.test');
  });
});

describe('digest', () => {
  let server: DigestServer;
  let http: Ports['http'];
  beforeEach(async () => {
    server = await startDigestServer(servers);
    http = newClient();
  });
  const call = (password = 'Circle of Life', args: JsonObject = {}): Promise<Json> => {
    const authentication = { digest: { username: 'Mufasa', password } };
    const endpoint = { uri: `${server.origin}/dir/index.html?q=1`, authentication };
    return httpRequest({ method: 'post', endpoint, body: 'x', ...args }, makeContext({ http }));
  };

  it.each([
    'realm="a", qop="auth", algorithm=SHA-256, opaque="o\\"o"',
    'realm="a", qop="auth-int,auth", algorithm=MD5',
    'realm="a, b", qop="auth"',
    'realm="a"',
    'realm="a", qop="auth", algorithm=MD5-sess',
    'realm="a", qop="auth", algorithm=SHA-256-sess, userhash=true',
    'realm="a", qop="auth", algorithm=SHA-512-256',
  ])('answers the challenge %s', async (challenge) => {
    server.challenges = [challenge];
    expect(await call()).toEqual({ ok: true });
    expect(server.requests.map(({ body }) => body)).toEqual(['x', 'x']);
  });

  it('takes the strongest challenge that it can answer', async () => {
    server.challenges = [
      'realm="a", qop="auth", algorithm=MD5',
      'realm="a", qop="auth", algorithm=SHA-256',
      'realm="a", algorithm=NEW',
    ];
    await call();
    expect(server.requests[1]?.headers.authorization).toContain('algorithm=SHA-256');
  });

  it('counts the uses of a nonce, and takes a new one where it is over', async () => {
    await call();
    await call();
    server.nonce = 'nonce-2';
    await call();
    expect(server.counts).toEqual(['00000001', '00000002', '00000001']);
    expect(server.requests).toHaveLength(5);
  });

  it('does not go on where the password is wrong', async () => {
    const failure = await failureOf(call('wrong-password'));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 401 });
    expect(server.requests).toHaveLength(2);
    expect(JSON.stringify(failure.data)).not.toContain('wrong-password');
  });

  it.each([
    ['another scheme', 'Basic realm="a"'],
    ['an algorithm that is not known', 'Digest realm="a", nonce="b", algorithm=NEW'],
    ['auth-int alone', 'Digest realm="a", nonce="b", qop="auth-int"'],
    ['no challenge', ''],
  ])('fails where the server has %s', async (_, header) => {
    const other = await servers.http((_request, response) => {
      response.writeHead(401, header === '' ? {} : { 'www-authenticate': header });
      response.end();
    });
    const failure = await failureOf(
      call('x', { endpoint: { uri: other.origin, authentication: { digest: { username: 'a', password: 'b' } } } }),
    );
    expect(failure.data).toMatchObject({ code: 'BLW_AUTH_FAILED', status: 401 });
    expect(failure.options.retryable).toBe(false);
    expect(other.requests).toHaveLength(1);
  });

  it('answers at the place that a redirect of the same origin leads to', async () => {
    const digest = { username: 'Mufasa', password: 'Circle of Life' };
    const endpoint = { uri: `${server.origin}/moved`, authentication: { digest } };
    const args = { method: 'get', endpoint, redirect: true };
    expect(await httpRequest(args, makeContext({ http }))).toEqual({ ok: true });
    expect(server.requests.map(({ url }) => url)).toEqual(['/moved', '/there', '/there']);
  });

  it('does not answer at another origin', async () => {
    const away = await servers.http((_request, response) => {
      response.writeHead(302, { location: `${server.origin}/there` });
      response.end();
    });
    const digest = { username: 'Mufasa', password: 'Circle of Life' };
    const endpoint = { uri: away.origin, authentication: { digest } };
    const failure = await failureOf(httpRequest({ method: 'get', endpoint, redirect: true }, makeContext({ http })));
    expect(failure.data.status).toBe(401);
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });
});

describe('the examples of RFC 7616', () => {
  it('makes a response of the form that section 3.9.1 shows', () => {
    const header =
      'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
    const challenge = findDigestChallenge(header);
    if (challenge === undefined) throw new Error('no challenge');
    const url = new URL('http://www.example.org/dir/index.html');
    const text = digestAuthorization(
      challenge,
      { username: 'Mufasa', password: 'Circle of Life' },
      { method: 'GET', url, nonceCount: 255 },
    );
    expect(text).toMatch(
      /^Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf[^"]+", uri="\/dir\/index.html", response="[0-9a-f]{32}", algorithm=MD5, opaque="FQhe[^"]+", qop=auth, nc=000000ff, cnonce="[0-9a-f]{32}"$/,
    );
  });

  it('writes a name outside of ASCII as section 3.4 says', () => {
    const challenge = findDigestChallenge('Digest realm="a", nonce="b"');
    if (challenge === undefined) throw new Error('no challenge');
    const target = { method: 'GET', url: new URL('http://x.test'), nonceCount: 1 };
    const text = digestAuthorization(challenge, { username: 'Jäsøn Doe', password: 'x' }, target);
    expect(text).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe");
  });
});

it.each([
  ['Basic realm="a"', [['basic', { realm: 'a' }]]],
  [
    'Negotiate, Basic realm="a, b", charset=UTF-8',
    [
      ['negotiate', {}],
      ['basic', { realm: 'a, b', charset: 'UTF-8' }],
    ],
  ],
  [
    'Negotiate YWJj==, Digest a="1", b=2 , Bearer',
    [
      ['negotiate', {}],
      ['digest', { a: '1', b: '2' }],
      ['bearer', {}],
    ],
  ],
  [
    'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
    [
      ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
      ['basic', { realm: 'simple' }],
    ],
  ],
  ['', []],
  ['"odd', []],
])('reads the challenges of %s', (header, expected) => {
  const found = parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  expect(found).toEqual(expected);
});
