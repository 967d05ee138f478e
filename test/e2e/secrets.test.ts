import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { type AuthorizationServer, startAuthorizationServer } from '../helpers/authorization-server';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Long and odd enough that it stands nowhere by chance, and that every encoding of it differs. */
const TOKEN = 'tok-5e/c+r=et "ü"';
const PASSWORD = 'pass-w0rd/?&-of-shop';
const CLIENT_SECRET = 'client-5ecret';
/** Their base64 is looked for as well, in the whole history. */
const VALUES = [TOKEN, PASSWORD, CLIENT_SECRET, 'access-token-1'];

const servers = new LoopbackServers();
let worker: TestWorker;
let echo: LoopbackServer;
let authorization: AuthorizationServer;
let folder: string;
const logged: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  authorization = await startAuthorizationServer(servers);
  // Says everything back that it was told, `/fail` as an error.
  echo = await servers.http((request, response) => {
    const { authorization: sent = '' } = request.headers;
    const decoded = Buffer.from(sent.replace(/^Basic /, ''), 'base64').toString();
    const { body = '' } = echo.requests.at(-1) ?? {};
    response.writeHead(request.url?.startsWith('/fail') ? 422 : 200, {
      'content-type': 'application/json',
      'x-echo': encodeURIComponent(sent),
    });
    response.end(JSON.stringify({ url: request.url, headers: request.headers, decoded, body }));
  });
  const files = {
    token: TOKEN,
    shop: JSON.stringify({ username: 'shop-user', password: PASSWORD }),
    login: JSON.stringify({
      authority: `${authorization.origin}/realms/shop`,
      grant: 'client_credentials',
      client: { id: 'beamline', secret: CLIENT_SECRET },
    }),
    private: 'of-another-tenant',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), `${content}\n`);
  const secret = ['token', 'shop', 'login'].map((name) => `${name}=file:${join(folder, name)}`);
  worker = await startTestWorker(
    { secret: [...secret, `acme/private=file:${join(folder, 'private')}`] },
    testTemporal(),
    { log: (...line) => logged.push(JSON.stringify(line)) },
  );
});
afterAll(async () => {
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const USE = 'use: { secrets: [token, shop, login, private, missing] }\n';

/** All of a flow's history and all that was logged, payloads as they are and in words. */
async function recorded(handle: WorkflowHandle): Promise<string> {
  const payloads: string[] = [];
  const events = JSON.stringify((await handle.fetchHistory()).events);
  JSON.parse(events, (key, value: unknown) => {
    if (key === 'data' && typeof value === 'string') payloads.push(Buffer.from(value, 'base64').toString());
    return value;
  });
  return [events, ...payloads, ...logged].join('\n');
}

async function expectNoSecret(handle: WorkflowHandle): Promise<void> {
  const text = await recorded(handle);
  // The payloads and the log are there, or nothing could be missed in them.
  expect(text.includes('"stepOutputs":')).toBe(true);
  expect(text.includes(`"flow_id":"${handle.workflowId}"`)).toBe(true);
  const found = VALUES.flatMap((value) => [
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    JSON.stringify(JSON.stringify(value)).slice(3, -3),
    Buffer.from(value).toString('base64').replace(/=*$/, ''),
    Buffer.from(`shop-user:${value}`).toString('base64').replace(/=*$/, ''),
  ]).filter((form) => text.includes(form));
  expect(found).toEqual([]);
}

/** What the echo server was sent last. */
const lastSeen = () => echo.requests.at(-1);

test('a secret reaches the server as text, in headers, query and body, and stays out of everything that is recorded', async () => {
  const handle = await worker.start(`${USE}do:
  - call:
      call: http
      with:
        method: post
        endpoint: ${echo.origin}/ok
        headers: { x-key: 'Key \${ secrets.shop.password }' }
        query: { key: '\${ secrets.token }' }
        body: { a: '\${ secrets.token }', b: '\${ "<" + secrets.token + ">" }', c: '\${ secrets.shop.username }' }
        output: response`);
  const output = (await handle.result()) as JsonObject;
  expect(lastSeen()).toMatchObject({
    url: `/ok?key=${encodeURIComponent(TOKEN)}`,
    headers: { 'x-key': `Key ${PASSWORD}` },
    body: JSON.stringify({ a: TOKEN, b: `<${TOKEN}>`, c: 'shop-user' }),
  });
  expect(output).toMatchObject({ content: { url: '/ok?key=***', headers: { 'x-key': 'Key ***' } } });
  await expectNoSecret(handle);
});

test('a secret in input.from is there for the arguments, as OWS has it', async () => {
  const handle = await worker.start(
    `${USE}do:
  - call:
      call: http
      input: { from: { key: '\${ secrets.token }', id: '\${ data.id }' } }
      with: { method: post, endpoint: '${echo.origin}/ok', body: '\${ data }' }
      output: { as: '\${ {"input": input, "body": data.body} }' }`,
    { id: 7 },
  );
  const output = (await handle.result()) as { input: { key: string }; body: string };
  expect(lastSeen()?.body).toBe(JSON.stringify({ key: TOKEN, id: 7 }));
  expect(output.body).toBe('{"key":"***","id":7}');
  // What is left of it in the flow is a placeholder, and no other step takes it for the secret.
  expect(output.input.key).toMatch(/^blw-secret-/);
  await expectNoSecret(handle);
});

test('a placeholder of one step is nothing to another one', async () => {
  const output = await worker.run(`${USE}do:
  - first:
      call: http
      input: { from: { key: '\${ secrets.token }' } }
      with: { method: get, endpoint: '${echo.origin}/ok', query: '\${ data }' }
      output: { as: input.key }
  - second:
      call: http
      with: { method: post, endpoint: '${echo.origin}/ok', body: { leaked: '\${ data }', own: '\${ secrets.token }' } }
      output: { as: fromJson(data.body) }`);
  const { leaked, own } = JSON.parse(lastSeen()?.body ?? '') as Record<string, string>;
  expect(leaked).toMatch(/^blw-secret-/);
  expect(own).toBe(TOKEN);
  expect(output).toEqual({ leaked, own: '***' });
});

test.each(['basic', 'digest'])('%s takes its properties from a secret', async (scheme) => {
  const handle = await worker.start(`use: { secrets: [shop], authentications: { mine: { ${scheme}: { use: shop } } } }
do:
  - call:
      call: http
      with: { method: get, endpoint: { uri: '${echo.origin}/ok', authentication: { use: mine } }, output: response }`);
  await handle.result();
  const basic = `Basic ${Buffer.from(`shop-user:${PASSWORD}`).toString('base64')}`;
  // A digest answers a challenge, and this server sends none.
  expect(lastSeen()?.headers.authorization).toBe(scheme === 'basic' ? basic : undefined);
  await expectNoSecret(handle);
});

test('a bearer takes its token from a secret', async () => {
  const endpoint = `{ uri: '${echo.origin}/ok', authentication: { bearer: { use: token } } }`;
  writeFileSync(join(folder, 'token'), 'plain-token-of-file');
  try {
    const handle = await worker.start(
      `${USE}do: [{ c: { call: http, with: { method: get, endpoint: ${endpoint} } } }]`,
    );
    expect(await handle.result()).toMatchObject({ headers: { authorization: 'Bearer ***' } });
    expect(lastSeen()?.headers.authorization).toBe('Bearer plain-token-of-file');
    expect(await recorded(handle)).not.toContain('plain-token-of-file');
  } finally {
    writeFileSync(join(folder, 'token'), TOKEN);
  }
});

test.each(['oauth2', 'oidc'])(
  '%s, reused by name, gets its token with a secret and keeps both to itself',
  async (scheme) => {
    const policy = `${scheme}: { authority: '${authorization.origin}/realms/shop', grant: client_credentials, client: { id: beamline, secret: '\${ secrets.login.client.secret }' } }`;
    const handle = await worker.start(`use: { secrets: [login], authentications: { shop: { ${policy} } } }
do:
  - one: { call: http, with: { method: get, endpoint: { uri: '${authorization.origin}/resource', authentication: { use: shop } } } }
  - two: { call: http, with: { method: get, endpoint: { uri: '${authorization.origin}/resource', authentication: { use: shop } } } }`);
    const before = authorization.tokenRequests().length;
    expect(await handle.result()).toEqual({ saw: 'Bearer ***' });
    const requests = authorization.tokenRequests().slice(before);
    expect(requests).toEqual([
      { grant_type: 'client_credentials', client_id: 'beamline', client_secret: CLIENT_SECRET },
    ]);
    await expectNoSecret(handle);
  },
);

test('a whole oauth2 policy may be a secret', async () => {
  const endpoint = `{ uri: '${authorization.origin}/resource', authentication: { oauth2: { use: login } } }`;
  const handle = await worker.start(`${USE}do: [{ c: { call: http, with: { method: get, endpoint: ${endpoint} } } }]`);
  expect(await handle.result()).toEqual({ saw: 'Bearer ***' });
  await expectNoSecret(handle);
});

test('a stream is authenticated as well', async () => {
  const endpoint = `{ uri: '${authorization.origin}/resource', authentication: { oidc: { use: login } } }`;
  const handle = await worker.start(`${USE}do:
  - get: { call: http.stream, with: { endpoint: ${endpoint}, to: blob } }
  - read: { call: fs.get, with: { path: blob, as: json }, output: { as: data.content } }`);
  // A blob is not the history: what a step writes there is written as it is.
  expect(await handle.result()).toEqual({ saw: expect.stringMatching(/^Bearer access-token-\d+$/) });
});

test('an operation of OpenAPI is authenticated as well', async () => {
  const document = `{ endpoint: '${authorization.origin}/openapi.json' }`;
  const handle = await worker.start(`use: { secrets: [login], authentications: { shop: { oauth2: { use: login } } } }
do: [{ read: { call: openapi, with: { document: ${document}, operationId: read, authentication: { use: shop } } } }]`);
  expect(await handle.result()).toEqual({ saw: 'Bearer ***' });
  await expectNoSecret(handle);
});

test('the error of a failing step has no secret, whatever the server says back', async () => {
  const endpoint = `{ uri: '${echo.origin}/fail', authentication: { basic: { use: shop } } }`;
  const handle = await worker.start(`${USE}do:
  - call: { call: http, with: { method: post, endpoint: ${endpoint}, body: '\${ secrets.token }' } }`);
  const error = await errorOf(handle);
  expect(error).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 422, data: { content: { body: '***' } } });
  expect(lastSeen()?.body).toBe(TOKEN);
  await expectNoSecret(handle);
});

test('a secret in a URL shows neither in the error nor in the summary of the step', async () => {
  const handle = await worker.start(`${USE}do:
  - call:
      call: http
      with: { method: get, endpoint: '\${ "${echo.origin}/fail/" + secrets.login.client.secret }' }`);
  const error = await errorOf(handle);
  expect(lastSeen()?.url).toBe(`/fail/${CLIENT_SECRET}`);
  expect(error.detail).toContain(`GET ${echo.origin}/fail/***: got status 422`);
  expect(await recorded(handle)).toContain(`"call: get ${echo.origin}/fail/***"`);
  await expectNoSecret(handle);
});

test('a step in a process of its own has its secrets, and its result none', async () => {
  const handle = await worker.start(`${USE}do:
  - call:
      call: http
      metadata: { resources: cpu }
      with: { method: post, endpoint: '${echo.origin}/ok', body: '\${ secrets.token }' }
  - authorized:
      call: http
      metadata: { resources: cpu }
      with: { method: get, endpoint: { uri: '${authorization.origin}/resource', authentication: { oauth2: { use: login } } } }`);
  expect(await handle.result()).toEqual({ saw: 'Bearer ***' });
  expect(lastSeen()?.body).toBe(TOKEN);
  await expectNoSecret(handle);
});

test('SQL takes a secret as a parameter', async () => {
  const handle = await worker.start(`${USE}do:
  - ask:
      call: sql.query
      with: { database: test, statement: 'SELECT :key AS value, length(:key) AS size', parameters: { key: '\${ secrets.token }' } }
      output: { as: 'data.rows[0]' }`);
  expect(await handle.result()).toEqual({ value: '***', size: TOKEN.length });
  await expectNoSecret(handle);
});

test.each([
  ['that the worker does not have', 'missing', 'acme'],
  ['of another tenant', 'private', 'other'],
])('a secret %s is an authorization error, which is not retried and may be caught', async (_, name, tenant) => {
  const flow = `${USE}do:
  - attempt:
      try: [{ call: { call: fs.put, with: { path: p, content: '\${ secrets.${name} }' } } }]
      catch: { as: problem, do: [{ tell: { set: '\${ problem }' } }] }`;
  const handle = await worker.start(flow, null, { tenant });
  expect(await handle.result()).toMatchObject({
    type: 'https://open-workflow-specification.org/spec/1.0.0/errors/authorization',
    status: 403,
    code: 'BLW_SECRET_UNAVAILABLE',
    detail: expect.stringContaining(`secret "${name}"`),
  });
  const { steps } = await handle.query<{ steps: { name: string; attempts?: number }[] }>('progress');
  expect(steps.find((step) => step.name === 'call')).toMatchObject({ attempts: 1 });
});

test('a secret of a tenant is there for that tenant', async () => {
  const flow = `${USE}do: [{ c: { call: fs.put, with: { path: p, content: '\${ secrets.private }' }, output: { as: data.size } } }]`;
  expect(await worker.run(flow, null, { tenant: 'acme' })).toBe('of-another-tenant'.length);
});

test('an authorization server that refuses is an authentication error', async () => {
  const policy = `oauth2: { authority: '${authorization.origin}/nowhere', grant: client_credentials, client: { id: a, secret: '\${ secrets.token }' } }`;
  const handle = await worker.start(
    `${USE}do: [{ c: { call: http, with: { method: get, endpoint: { uri: '${echo.origin}/ok', authentication: { ${policy} } } } } }]`,
  );
  expect(await errorOf(handle)).toMatchObject({
    type: 'https://open-workflow-specification.org/spec/1.0.0/errors/authentication',
    status: 401,
    code: 'BLW_AUTH_FAILED',
    instance: '/do/0/c',
  });
  await expectNoSecret(handle);
});
