import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FlowProgress } from '../../src/dsl/progress';
import { historyText } from '../helpers/history-text';
import { errorOf, eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
let server: Server;
let origin: string;
/** Requests seen, by path. */
const seen: { method: string; path: string; key: string | undefined; body: string }[] = [];
/** Answers 503 so often before it succeeds, by path. */
const failures = new Map<string, number>();

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      const key = request.headers['idempotency-key'];
      seen.push({ method: request.method ?? '', path, key: key?.toString(), body: Buffer.concat(chunks).toString() });
      if (path.startsWith('/endless')) return endless(response);
      const left = failures.get(path) ?? 0;
      failures.set(path, left - 1);
      response.writeHead(left > 0 ? 503 : path === '/missing' ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ path, n: 41 }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  worker = await startTestWorker();
});
afterAll(async () => {
  await worker.stop();
  server.closeAllConnections();
  server.close();
});

/** Downloads without an end that the client gave up. */
let endlessClosed = 0;

function endless(response: import('node:http').ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  const timer = setInterval(() => response.write(Buffer.alloc(1024)), 5);
  response.on('close', () => {
    clearInterval(timer);
    endlessClosed += 1;
  });
}

describe('http', () => {
  test('gets, and hands the content on', async () => {
    const flow = `do: [{g: {call: http, with: {method: get, endpoint: "\${ data.origin + '/things' }"}, output: {as: data.n + 1}}}]`;
    expect(await worker.run(flow, { origin })).toBe(42);
  });

  test('expands {name} in a URL, percent-encoded', async () => {
    const flow = `do: [{g: {call: http, with: {method: get, endpoint: "${origin}/pets/{id}"}, output: {as: data.path}}}]`;
    expect(await worker.run(flow, { id: 'a b/c' })).toBe('/pets/a%20b%2Fc');
  });

  test('sends one idempotency key on every attempt of a post', async () => {
    failures.set('/orders', 2);
    const retry = '{ initialInterval: { milliseconds: 10 } }';
    const flow = `do: [{p: {call: http, metadata: {retry: ${retry}}, with: {method: post, endpoint: "${origin}/orders", body: {n: "\${ data.n }"}}}}]`;
    const handle = await worker.start(flow, { n: 7 }, { tenant: 'acme' });
    await handle.result();
    const posts = seen.filter(({ path }) => path === '/orders');
    const key = `acme:${handle.workflowId}:/do/0/p:0:0`;
    expect(posts).toEqual(Array.from({ length: 3 }, () => ({ method: 'POST', path: '/orders', key, body: '{"n":7}' })));
    const { steps } = await handle.query<FlowProgress>('progress');
    expect(steps).toMatchObject([{ status: 'completed', attempts: 3, pool: 'io', block: 'http.request' }]);
  });

  test('sends another key in every iteration and for every visit', async () => {
    const flow = `
do:
  - loop: { for: { in: '[1, 2]' }, do: [{ p: { call: http, with: { method: post, endpoint: '${origin}/keys' } } }] }
  - again: { call: http, with: { method: post, endpoint: '${origin}/keys' }, export: { as: { n: '\${ context.n + 1 }' } } }
  - check: { switch: [{ more: { when: context.n < 2, then: again } }, { done: { then: end } }] }
`;
    const handle = await worker.start(flow, { n: 0 });
    await handle.result();
    const keys = seen
      .filter(({ path }) => path === '/keys')
      .map(({ key }) => key?.slice(`default:${handle.workflowId}:`.length));
    expect(keys).toEqual(['/do/0/loop/do/0/p:0:0', '/do/0/loop/do/0/p:1:0', '/do/1/again:0:0', '/do/1/again:~1:0']);
  });

  test('gives the answer of a failed call to the catch', async () => {
    const flow = `do: [{t: {try: [{g: {call: http, with: {method: get, endpoint: "${origin}/missing"}}}], catch: {errors: {with: {status: 404}}, do: [{h: {set: {e: "\${ error }"}}}]}}}]`;
    expect(await worker.run(flow)).toMatchObject({
      e: {
        type: 'https://open-workflow-specification.org/spec/1.0.0/errors/communication',
        status: 404,
        code: 'BLW_HTTP_STATUS',
        instance: '/do/0/t/try/0/g',
        data: { statusCode: 404, content: { path: '/missing' } },
      },
    });
  });

  test('refuses a private host that is not allowed, without a retry', async () => {
    const handle = await worker.start('do: [{g: {call: http, with: {method: get, endpoint: "http://10.255.255.1/"}}}]');
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED', status: 403, instance: '/do/0/g' });
    expect((await handle.query<FlowProgress>('progress')).steps).toMatchObject([{ attempts: 1 }]);
    const history = await historyText(handle);
    expect(history).toContain('BLW_HTTP_HOST_DENIED');
    expect(history).not.toMatch(/(\n|\\n)\s+at /);
    expect(history).not.toMatch(/"stackTrace":\s*"[^"]/);
    expect(history).not.toContain(process.cwd());
  });

  test('streams to a blob, and stops soon after it is cancelled', async () => {
    const ok = `do: [{s: {call: http.stream, with: {endpoint: "${origin}/file", to: files/a.json}}}]`;
    const content = JSON.stringify({ path: '/file', n: 41 });
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(await worker.run(ok)).toMatchObject({ path: 'files/a.json', size: content.length, sha256, statusCode: 200 });

    const handle = await worker.start(
      `do: [{s: {call: http.stream, with: {endpoint: "${origin}/endless", to: files/b}}}]`,
    );
    await progressWhen(handle, () => seen.some(({ path }) => path === '/endless'));
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    // The flow does not wait for the block; the block hears of it with the answer to its next heartbeat.
    await eventually(async () => (endlessClosed > 0 ? true : undefined), 3_000);
    expect(await worker.run('do: [{s: {call: fs.stat, with: {path: files/b, ifMissing: ignore}}}]')).toEqual({
      path: 'files/b',
      exists: false,
    });
  });
});

describe('fs', () => {
  test('writes, reads, lists, describes and deletes', async () => {
    const flow = `
do:
  - put: { call: fs.put, with: { path: 'docs/\${ data.name }.json', content: { n: '\${ data.n }' } } }
  - get: { call: fs.get, with: { path: docs/a.json, as: json } }
  - list: { call: fs.list, with: { prefix: docs/ } }
  - stat: { call: fs.stat, with: { path: docs/a.json } }
  - drop: { call: fs.delete, with: { path: docs/a.json } }
output: { as: { n: '\${ steps.get.output.content.n }', listed: '\${ steps.list.output.entries.map(entry, entry.path) }', size: '\${ steps.stat.output.size }', deleted: '\${ data.deleted }' } }
`;
    expect(await worker.run(flow, { name: 'a', n: 5 })).toEqual({
      n: 5,
      listed: ['docs/a.json'],
      size: 7,
      deleted: true,
    });
  });

  test('keeps tenants apart', async () => {
    await worker.run('do: [{p: {call: fs.put, with: {path: secret, content: x}}}]', null, { tenant: 'one' });
    const read = 'do: [{g: {call: fs.get, with: {path: secret}}}]';
    expect(await worker.fail(read, null, { tenant: 'two' })).toMatchObject({ code: 'BLW_FS_NOT_FOUND', status: 404 });
    expect(await worker.run(read, null, { tenant: 'one' })).toMatchObject({ content: 'x' });
  });

  test.each(['../escape', '/etc/passwd', 'a/../../b', 'a//b', ''])(
    'refuses the path "%s" at run time, naming the step',
    async (path) => {
      const error = await worker.fail('do: [{g: {call: fs.get, with: {path: "${ data.path }"}}}]', { path });
      expect(['BLW_FS_PATH', 'BLW_ARG_INVALID']).toContain(error.code);
      expect(error.instance).toBe('/do/0/g');
    },
  );
});

describe('sql', () => {
  test('creates, writes in a transaction, and reads with named and positional parameters', async () => {
    const flow = `
do:
  - create: { call: sql.execute, with: { database: test, statement: 'CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name TEXT NOT NULL)' } }
  - insert:
      call: sql.transaction
      with:
        database: test
        statements:
          - { statement: 'INSERT INTO people VALUES (:id, :name)', parameters: { id: 1, name: '\${ data.?who.orValue(workflow.input.who) }' } }
          - { statement: 'INSERT INTO people VALUES (?, ?)', parameters: [2, Bob] }
  - select: { call: sql.query, with: { database: test, statement: 'SELECT id, name FROM people ORDER BY id' } }
`;
    expect(await worker.run(flow, { who: "Robert'); DROP TABLE people;--" })).toEqual({
      columns: ['id', 'name'],
      rows: [
        { id: 1, name: "Robert'); DROP TABLE people;--" },
        { id: 2, name: 'Bob' },
      ],
      rowCount: 2,
      truncated: false,
    });
  });

  test.each([
    ['an unknown database', 'database: nope, statement: SELECT 1', 'BLW_SQL_DATABASE_UNKNOWN'],
    ['broken SQL', 'database: test, statement: SELEKT 1', 'BLW_SQL_STATEMENT'],
    ['a missing parameter', "database: test, statement: 'SELECT :a AS a', parameters: {b: 1}", 'BLW_SQL_PARAMETERS'],
    ['two statements in one', "database: test, statement: 'SELECT 1; SELECT 2'", 'BLW_SQL_STATEMENT'],
    ['a write in a query', "database: test, statement: 'CREATE TABLE x (a)'", 'BLW_SQL_STATEMENT'],
  ])('fails once for %s, naming the step', async (_, args, code) => {
    const handle = await worker.start(`do: [{q: {call: sql.query, with: {${args}}}}]`);
    expect(await errorOf(handle)).toMatchObject({ code, instance: '/do/0/q' });
    expect((await handle.query<FlowProgress>('progress')).steps).toMatchObject([{ attempts: 1, status: 'failed' }]);
  });

  test('stops a query at the timeout of its step, and the worker goes on', async () => {
    const endless = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) AS m FROM c';
    const flow = `do: [{q: {call: sql.query, metadata: {timeout: PT0.5S, retry: {maximumAttempts: 1}}, with: {database: test, statement: '${endless}'}}}]`;
    expect(await worker.fail(flow)).toMatchObject({ status: 408, instance: '/do/0/q' });
    expect(
      await worker.run(
        'do: [{q: {call: sql.query, with: {database: test, statement: SELECT 1 AS one}, output: {as: "data.rows[0].one"}}}]',
      ),
    ).toBe(1);
  });
});

describe('a cancelled flow', () => {
  test.each([
    ['an http call', `call: http, with: {method: get, endpoint: "\${ data.origin + '/endless' }"}`],
    [
      'an http call in a process of its own',
      `call: http, metadata: {resources: cpu}, with: {method: get, endpoint: "\${ data.origin + '/endless' }"}`,
    ],
  ])('stops %s that runs', async (_, step) => {
    const before = { seen: seen.length, closed: endlessClosed };
    const handle = await worker.start(`do: [{s: {${step}}}]`, { origin });
    await eventually(async () => (seen.length > before.seen ? true : undefined));
    await handle.cancel();
    await eventually(async () => (endlessClosed > before.closed ? true : undefined), 5_000);
  });
});

describe('pools', () => {
  test('run steps of each class on their own task queue', async () => {
    const step = (name: string) =>
      `{ ${name}: { call: fs.put, metadata: { resources: ${name} }, with: { path: p/${name}, content: x } } }`;
    const handle = await worker.start(`do: [${['io', 'cpu', 'gpu'].map(step).join(', ')}]`);
    await handle.result();
    const { events } = await handle.fetchHistory();
    const scheduled =
      events?.flatMap(({ activityTaskScheduledEventAttributes: activity }) => (activity ? [activity] : [])) ?? [];
    expect(scheduled.map(({ activityType, taskQueue }) => [activityType?.name, taskQueue?.name])).toEqual(
      ['io', 'cpu', 'gpu'].map((pool) => ['fs.put', `${worker.queuePrefix}-${pool}`]),
    );
  });

  test('dispatch io steps eagerly, on the queue of their flow', async () => {
    const handle = await worker.start('do: [{a: {call: fs.put, with: {path: eager, content: x}}}]');
    await handle.result();
    const { events } = await handle.fetchHistory();
    const kinds = events
      ?.map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? '')
      .filter(Boolean);
    expect(kinds).toEqual(['fs.put']);
    const summaries = events?.flatMap(({ userMetadata }) =>
      userMetadata?.summary?.data ? [Buffer.from(userMetadata.summary.data).toString()] : [],
    );
    expect(summaries).toContain('"a: eager"');
  });

  test('refuse arguments that only run time knows', async () => {
    const error = await worker.fail('do: [{a: {call: fs.list, with: {limit: "${ data.limit }"}}}]', { limit: 'many' });
    expect(error).toMatchObject({
      code: 'BLW_ARG_INVALID',
      instance: '/do/0/a',
      detail: 'fs.list: limit: got a string, expected integer',
    });
  });
});
