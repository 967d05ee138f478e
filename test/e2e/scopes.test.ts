import { readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import Database from 'better-sqlite3';
import { stringify } from 'yaml';
import type { Json, JsonObject } from '../../src/dsl/json';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** All that a step of these tests may need; each test takes something away. */
const ALL = [
  'flow:start',
  'block:*',
  'resources:*',
  'http:*:*',
  'blob:read:*',
  'blob:write:*',
  'sql:write:test',
  'secret:*',
  'approval:*',
];

const servers = new LoopbackServers();
let server: LoopbackServer;
let fixture: TestWorker;
let policyFile: string;

/** Puts a policy in force for the tenant `acme`, and waits until it is. */
async function putInForce(scopes: readonly string[], more: JsonObject = {}): Promise<void> {
  const marker = `secret:marker${Date.now()}${Math.random()}`.replace('.', '');
  const tenants = { acme: { scopes: [...scopes, marker], ...more }, other: { scopes: ALL } };
  writeFileSync(policyFile, stringify({ version: 1, tenants }));
  await eventually(async () =>
    fixture.worker.policy.current()?.tenants.get('acme')?.scopes.includes(marker) ? true : undefined,
  );
}

beforeAll(async () => {
  server = await servers.http((request, response) => {
    if (request.url === '/redirect')
      response.writeHead(302, { location: `${server.origin.replace('127.0.0.1', 'localhost')}/` }).end();
    else response.end('"ok"');
  });
  policyFile = join(tmpdir(), `blw-policy-${process.pid}.yaml`);
  writeFileSync(policyFile, stringify({ version: 1, tenants: { acme: { scopes: ALL } } }));
  process.env.BLW_TEST_SCOPE_SECRET = 'hidden-value';
  fixture = await startTestWorker({ policy: policyFile, secret: ['token=env:BLW_TEST_SCOPE_SECRET'] });
});

afterAll(async () => {
  await fixture?.stop();
  await servers.close();
});

const run = (flow: string): Promise<Json> => fixture.run(flow, null, { tenant: 'acme' });

/** How the flow fails, and how many attempts its step took. */
async function failed(flow: string): Promise<{ code?: Json; scope?: Json; attempts: number[] }> {
  const handle: WorkflowHandle = await fixture.start(flow, null, { tenant: 'acme' });
  const error = await errorOf(handle);
  const { events } = await handle.fetchHistory();
  const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
    started == null ? [] : [started.attempt ?? 0],
  );
  return { code: error.code ?? null, scope: (error.data as { scope?: Json } | undefined)?.scope ?? null, attempts };
}

const get = (path = '/', more = '') =>
  `do: [{ call: { call: http, with: { method: get, endpoint: '${server.origin}${path}'${more} } } }]`;
const without = (...scopes: string[]) => ALL.filter((scope) => !scopes.includes(scope));

const step = (call: string, args: string, metadata = '') =>
  `do: [{ step: { call: ${call}, with: ${args}${metadata === '' ? '' : `, metadata: ${metadata}`} } }]`;

const CASES: readonly [name: string, flow: () => string, lacking: string[], given: string[], scope: () => string][] = [
  ['a block', get, ['block:*'], ['block:fs.*', 'block:http.stream'], () => 'block:http.request'],
  [
    'a resource class',
    () => step('fs.put', '{ path: a, content: x }', '{ resources: cpu }'),
    ['resources:*'],
    ['resources:io'],
    () => 'resources:cpu',
  ],
  ['a host', get, ['http:*:*'], ['http:*:localhost', 'http:*:*.0.0.1'], () => `http:GET:127.0.0.1:${server.port}`],
  ['a method', get, ['http:*:*'], ['http:POST:*'], () => `http:GET:127.0.0.1:${server.port}`],
  [
    'a blob to write',
    () => step('fs.put', '{ path: denied/a, content: x }'),
    ['blob:write:*'],
    ['blob:write:b/*'],
    () => 'blob:write:denied/a',
  ],
  [
    'a blob to write, in a process of its own',
    () => step('fs.put', '{ path: denied/a, content: x }', '{ resources: cpu }'),
    ['blob:write:*'],
    ['blob:write:b/*'],
    () => 'blob:write:denied/a',
  ],
  [
    'a blob to read',
    () => step('fs.stat', '{ path: denied/a, ifMissing: ignore }'),
    ['blob:read:*'],
    [],
    () => 'blob:read:denied/a',
  ],
  ['a list of blobs', () => step('fs.list', '{ prefix: "" }'), ['blob:read:*'], ['blob:read:b/*'], () => 'blob:read:*'],
  [
    'a blob to delete',
    () => step('fs.delete', '{ path: denied/a, ifMissing: ignore }'),
    ['blob:write:*'],
    [],
    () => 'blob:write:denied/a',
  ],
  [
    'a blob that a download would write',
    () => step('http.stream', `{ endpoint: '${server.origin}/', to: denied/s }`),
    ['blob:write:*'],
    [],
    () => 'blob:write:denied/s',
  ],
  [
    'a host in a process of its own',
    () => step('http', `{ method: get, endpoint: '${server.origin}/' }`, '{ resources: cpu }'),
    ['http:*:*'],
    ['http:POST:*'],
    () => `http:GET:127.0.0.1:${server.port}`,
  ],
  [
    'a database',
    () => step('sql.query', '{ database: test, statement: SELECT 1 AS n }'),
    ['sql:write:test'],
    ['sql:read:other'],
    () => 'sql:read:test',
  ],
  [
    'a database to write',
    () => step('sql.execute', '{ database: test, statement: CREATE TABLE denied (n) }'),
    ['sql:write:test'],
    ['sql:read:test'],
    () => 'sql:write:test',
  ],
  [
    'a database to write, all at once',
    () => step('sql.transaction', '{ database: test, statements: [{ statement: CREATE TABLE denied (n) }] }'),
    ['sql:write:test'],
    ['sql:read:test'],
    () => 'sql:write:test',
  ],
  [
    'a secret',
    () => `use: { secrets: [token] }\n${get('/', ", headers: { x-key: '${ secrets.token }' }")}`,
    ['secret:*'],
    ['secret:other'],
    () => 'secret:token',
  ],
];

test.each(CASES)(
  'without the scope of %s a step fails at once and does nothing; with it, it runs',
  async (_name, flow, lacking, given, scope) => {
    await putInForce([...without(...lacking), ...given]);
    const before = server.connections();
    expect(await failed(flow())).toEqual({ code: 'BLW_SCOPE_DENIED', scope: scope(), attempts: [1] });
    expect(server.connections()).toBe(before);
    const blobs = readdirSync(join(fixture.folder, 'blobs'), { recursive: true }).map(String);
    expect(blobs.filter((path) => path.includes('denied'))).toEqual([]);
    const database = new Database(join(fixture.folder, 'test.db'));
    expect(database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'denied'").get()).toEqual({ n: 0 });
    database.close();

    await putInForce([...without(...lacking), ...given, scope()]);
    await run(flow());
    const cleanUp = new Database(join(fixture.folder, 'test.db'));
    cleanUp.exec('DROP TABLE IF EXISTS denied');
    cleanUp.close();
    await putInForce(ALL);
    await run(step('fs.delete', '{ path: denied/a, ifMissing: ignore }'));
    await run(step('fs.delete', '{ path: denied/s, ifMissing: ignore }'));
  },
);

test('a redirect is not followed to a host without its scope', async () => {
  await putInForce([...without('http:*:*'), 'http:*:127.0.0.1']);
  const redirected = get('/redirect', ', redirect: true');
  const seen = server.requests.length;
  expect(await failed(redirected)).toMatchObject({
    code: 'BLW_SCOPE_DENIED',
    scope: `http:GET:localhost:${server.port}`,
  });
  expect(server.requests.slice(seen).map(({ url }) => url)).toEqual(['/redirect']);
  await putInForce(ALL);
  expect(await run(redirected)).toBe('ok');
});

test('a scope that is taken away counts from the next step on, also for results that were kept', async () => {
  const cached = `do: [{ call: { call: http, with: { method: get, endpoint: '${server.origin}/cached' }, metadata: { cache: { maxAge: PT1H } } } }]`;
  await putInForce(ALL);
  expect([await run(cached), await run(cached)]).toEqual(['ok', 'ok']);
  expect(server.requests.filter(({ url }) => url === '/cached')).toHaveLength(1);
  await putInForce([...without('http:*:*')]);
  expect(await failed(cached)).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
});

test('a tenant that the policy does not have runs nothing', async () => {
  await putInForce(ALL);
  const before = server.connections();
  const error = await fixture.fail(get(), null, { tenant: 'stranger' });
  expect(error).toMatchObject({ code: 'BLW_TENANT_DENIED', status: 403 });
  expect(JSON.stringify(error)).not.toMatch(/acme|other/);
  expect(server.connections()).toBe(before);
});

test('one without flow:start starts nothing', async () => {
  await putInForce(without('flow:start'));
  expect(await failed(get())).toEqual({ code: 'BLW_SCOPE_DENIED', scope: 'flow:start', attempts: [] });
});

test('a private host is for the tenant that the policy opens it for', async () => {
  // The worker itself opens loopback for all in these tests, so the other name of this machine is taken.
  const flow = get().replace('127.0.0.1', '127.0.0.2');
  await putInForce(ALL);
  const before = server.connections();
  expect(await failed(flow)).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED' });
  expect(server.connections()).toBe(before);
  await putInForce(ALL, { privateHosts: [`127.0.0.2:${server.port}`] });
  await fixture
    .start(flow, null, { tenant: 'acme' })
    .then(errorOf)
    .catch(() => undefined);
});

test('a broken policy opens nothing, and the last good one stays in force', async () => {
  await putInForce(without('http:*:*'));
  const inForce = fixture.worker.policy.current();
  for (const broken of [
    '',
    'tenants: {',
    'version: 1\ntenants: { acme: { scopes: ["*"] } }',
    '\0',
    'version: 2\ntenants: {}',
  ]) {
    writeFileSync(policyFile, broken);
    expect(await failed(get())).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
    expect(fixture.worker.policy.current()).toBe(inForce);
  }
});
