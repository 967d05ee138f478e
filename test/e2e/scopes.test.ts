import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import Database from 'better-sqlite3';
import type { Json, JsonObject } from '../../src/dsl/json';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

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
const logger = { log: (_: string, message: string) => lines.push(message) };
const lines: string[] = [];
let server: LoopbackServer;
let fixture: TestWorker;
let folder: string;

/** The policy of the file, by tenant. Cases have two tenants of their own, since a new policy takes seconds to be in force. */
const tenants: Record<string, JsonObject> = { acme: { scopes: ALL }, other: { scopes: ALL } };

function writePolicy(text = JSON.stringify({ version: 1, tenants })): void {
  const file = join(folder, 'policy.yaml');
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** Writes the policy, and waits until it is in force, or is refused. */
async function change(text?: string): Promise<string> {
  lines.length = 0;
  writePolicy(text);
  return await eventually(async () => lines.find((line) => /^policy (in force|file not taken)/.test(line)));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blw-scopes-'));
  server = await servers.http((request, response) => {
    const elsewhere = `${server.origin.replace('127.0.0.1', 'localhost')}/`;
    if (request.url === '/redirect') response.writeHead(302, { location: elsewhere }).end();
    else response.setHeader('content-type', 'application/json').end('"ok"');
  });
  for (const [index, [, , lacking, given, scope]] of CASES.entries()) {
    const scopes = [...without(...lacking), ...given];
    tenants[`denied${index}`] = { scopes };
    tenants[`given${index}`] = { scopes: [...scopes, scope()] };
  }
  tenants.here = { scopes: [...without('http:*:*'), 'http:*:127.0.0.1'] };
  tenants.heavy = { scopes: ALL, fairnessWeight: 7, priorityKey: 2 };
  tenants.idle = { scopes: without('flow:start') };
  tenants.inside = { scopes: ALL, privateHosts: [`127.0.0.2:${server.port}`] };
  writePolicy();
  process.env.BLW_TEST_SCOPE_SECRET = 'hidden-value';
  fixture = await startTestWorker(
    { policy: join(folder, 'policy.yaml'), secret: ['token=env:BLW_TEST_SCOPE_SECRET'] },
    testTemporal(),
    logger,
  );
});

afterAll(async () => {
  await fixture?.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (flow: string, tenant: string): Promise<Json> => fixture.run(flow, null, { tenant });

/** How the flow fails, and how many attempts its step took. */
async function failed(flow: string, tenant: string): Promise<{ code: Json; scope: Json; attempts: number[] }> {
  const handle: WorkflowHandle = await fixture.start(flow, null, { tenant });
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
    () => step('fs.put', '{ path: a, content: x }'),
    ['blob:write:*'],
    ['blob:write:b/*'],
    () => 'blob:write:a',
  ],
  [
    'a blob to write, in a process of its own',
    () => step('fs.put', '{ path: a, content: x }', '{ resources: cpu }'),
    ['blob:write:*'],
    ['blob:write:b/*'],
    () => 'blob:write:a',
  ],
  ['a blob to read', () => step('fs.stat', '{ path: a, ifMissing: ignore }'), ['blob:read:*'], [], () => 'blob:read:a'],
  ['a list of blobs', () => step('fs.list', '{ prefix: "" }'), ['blob:read:*'], ['blob:read:b/*'], () => 'blob:read:*'],
  [
    'a blob to delete',
    () => step('fs.delete', '{ path: a, ifMissing: ignore }'),
    ['blob:write:*'],
    [],
    () => 'blob:write:a',
  ],
  [
    'a blob that a download would write',
    () => step('http.stream', `{ endpoint: '${server.origin}/', to: s }`),
    ['blob:write:*'],
    [],
    () => 'blob:write:s',
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
    () => step('sql.execute', '{ database: test, statement: CREATE TABLE made12 (n) }'),
    ['sql:write:test'],
    ['sql:read:test'],
    () => 'sql:write:test',
  ],
  [
    'a database to write, all at once',
    () => step('sql.transaction', '{ database: test, statements: [{ statement: CREATE TABLE made13 (n) }] }'),
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

test.each(CASES.map((row, index) => [row[0], index, row] as const))(
  'without the scope of %s a step fails at once and does nothing; with it, it runs',
  async (_name, index, [, flow, , , scope]) => {
    const before = server.requests.length;
    expect(await failed(flow(), `denied${index}`)).toEqual({
      code: 'BLW_SCOPE_DENIED',
      scope: scope(),
      attempts: [1],
    });
    expect(server.requests).toHaveLength(before);
    const blobs = readdirSync(join(fixture.folder, 'blobs'), { recursive: true }).map(String);
    expect(blobs.filter((path) => path.includes(`denied${index}=`))).toEqual([]);
    const database = new Database(join(fixture.folder, 'test.db'));
    try {
      const tables = database.prepare('SELECT name FROM sqlite_master').all();
      expect(tables).not.toContainEqual({ name: `made${index}` });
    } finally {
      database.close();
    }
    await run(flow(), `given${index}`);
  },
);

test('a redirect is not followed to a host without its scope', async () => {
  const redirected = get('/redirect', ', redirect: true');
  const seen = server.requests.length;
  expect(await failed(redirected, 'here')).toMatchObject({
    code: 'BLW_SCOPE_DENIED',
    scope: `http:GET:localhost:${server.port}`,
  });
  expect(server.requests.slice(seen).map(({ url }) => url)).toEqual(['/redirect']);
  expect(await run(redirected, 'acme')).toBe('ok');
});

test('a tenant that the policy does not have runs nothing, and learns of no other', async () => {
  const before = server.connections();
  const error = await fixture.fail(get(), null, { tenant: 'stranger' });
  expect(error).toMatchObject({ code: 'BLW_TENANT_DENIED', status: 403 });
  expect(JSON.stringify(error)).not.toMatch(/acme|other/);
  expect(server.connections()).toBe(before);
});

test('without flow:start no flow starts', async () => {
  expect(await failed(get(), 'idle')).toEqual({ code: 'BLW_SCOPE_DENIED', scope: 'flow:start', attempts: [] });
});

/** Priorities of the flow's steps, in order. */
async function prioritiesOf(tenant: string, start: JsonObject = {}): Promise<object[]> {
  const metadata = [{}, { priorityKey: 1 }, { priorityKey: 5 }, { fairnessWeight: 1000 }];
  const steps = metadata.map((more, index) => ({
    [`step${index}`]: { call: 'fs.stat', with: { path: 'x', ifMissing: 'ignore' }, metadata: more },
  }));
  const handle = await fixture.start({ ...flowOf('do: []'), do: steps }, null, { ...start, tenant });
  await handle.result();
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
    if (scheduled == null) return [];
    const { fairnessKey, fairnessWeight, priorityKey } = scheduled.priority ?? {};
    return [{ fairnessKey, fairnessWeight, priorityKey }];
  });
}

test("a tenant's weight and best priority are the policy's, whatever its flows say", async () => {
  const share = { fairnessKey: 'heavy', fairnessWeight: 7 };
  const expected = (...keys: number[]) => keys.map((priorityKey) => ({ ...share, priorityKey }));
  expect(await prioritiesOf('heavy')).toEqual(expected(2, 2, 5, 2));
  expect(await prioritiesOf('heavy', { priorityKey: 1 })).toEqual(expected(2, 2, 5, 2));
  expect(await prioritiesOf('heavy', { priorityKey: 4 })).toEqual(expected(4, 2, 5, 4));
  const [first] = await prioritiesOf('acme', { priorityKey: 1 });
  expect(first).toEqual({ fairnessKey: 'acme', fairnessWeight: 1, priorityKey: 3 });
});

test('a private host is for the tenant that the policy opens it for', async () => {
  // The worker itself opens 127.0.0.1 for all in these tests. Nobody listens on this one: that shows who gets as far as to connect.
  const flow = `do: [{ call: { call: http, with: { method: get, endpoint: 'http://127.0.0.2:${server.port}/' }, metadata: { retry: { maximumAttempts: 1 } } } }]`;
  expect(await failed(flow, 'acme')).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED' });
  expect(await failed(flow, 'inside')).toMatchObject({ code: 'BLW_HTTP_UNREACHABLE' });
});

test('a scope that is taken away counts from the next step on, also for results that were kept; a broken file gives nothing back', async () => {
  const cached = `do: [{ call: { call: http, with: { method: get, endpoint: '${server.origin}/cached' }, metadata: { cache: { maxAge: PT1H } } } }]`;
  expect([await run(cached, 'other'), await run(cached, 'other')]).toEqual(['ok', 'ok']);
  expect(server.requests.filter(({ url }) => url === '/cached')).toHaveLength(1);
  tenants.other = { scopes: without('http:*:*') };
  expect(await change()).toBe('policy in force');
  expect(await failed(cached, 'other')).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
  for (const broken of ['', 'tenants: {', JSON.stringify({ version: 1, tenants: { other: { scopes: ['*'] } } })]) {
    expect(await change(broken)).toContain('the policy before stays in force');
    expect(await failed(cached, 'other')).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
    expect(await run(get(), 'acme')).toBe('ok');
  }
});
