import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import Database from 'better-sqlite3';
import type { DryRunReport, ReportedStep } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { historyText } from '../helpers/history-text';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { messagesOf } from '../helpers/nats-stream';
import { eventually, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SECRET = 'a-value-that-nobody-may-see';
const DOCUMENT = {
  openapi: '3.0.0',
  info: { title: 'x', version: '1' },
  paths: { '/pets': { get: { operationId: 'listPets', responses: { 200: { description: 'ok' } } } } },
};

/** Every kind of block, with targets that expressions make, and every way by which a flow runs something else. */
const HOSTILE = `
use:
  secrets: [token, login]
  authentications: { account: { basic: { use: login } } }
  functions:
    ping: { call: http, with: { method: get, endpoint: '\${ context.origin + "/function" }' } }
input: { from: '\${ data }' }
do:
  - targets: { set: { origin: '\${ workflow.input.origin }' }, export: { as: '\${ data }' } }
  - redirected:
      call: http
      with: { method: get, endpoint: '\${ context.origin + "/redirect" }', redirect: true }
  - cached:
      call: http
      with: { method: get, endpoint: '\${ context.origin + "/cached" }' }
      metadata: { cache: { maxAge: PT1H } }
  - secretly:
      call: http
      with:
        method: post
        endpoint: { uri: '\${ context.origin + "/secret" }', authentication: { use: account } }
        headers: { x-token: '\${ secrets.token }' }
        body: { token: '\${ "x" + secrets.token }' }
  - streamed: { call: http.stream, with: { endpoint: '\${ context.origin + "/stream" }', to: streamed.bin } }
  - pets:
      call: openapi
      with: { document: { endpoint: '\${ context.origin + "/openapi.json" }' }, operationId: listPets }
  - put: { call: fs.put, with: { path: '\${ "a/" + "b.txt" }', content: hello } }
  - stat: { call: fs.stat, with: { path: a/b.txt } }
  - get: { call: fs.get, with: { path: a/b.txt } }
  - list: { call: fs.list, with: { prefix: a/ } }
  - create: { call: sql.execute, with: { database: test, statement: 'CREATE TABLE t (a)' } }
  - insert: { call: sql.transaction, with: { database: test, statements: [{ statement: 'INSERT INTO t VALUES (1)' }] } }
  - select: { call: sql.query, with: { database: test, statement: 'SELECT * FROM t' } }
  - postgres:
      try:
        - pgQuery:
            call: sql.query
            with: { database: pg, statement: SELECT 1 }
            metadata: { retry: { maximumAttempts: 1 }, timeout: PT5S }
      catch:
        as: problem
        do: [{ afterwards: { call: http, with: { method: get, endpoint: '\${ context.origin + "/caught" }' } } }]
  - told: { emit: { event: { with: { source: /shop, type: order.placed, data: { a: 1 } } } } }
  - called: { call: ping }
  - child: { run: { workflow: { namespace: test, name: child, version: '1.0.0', input: { origin: '\${ context.origin }' } } } }
  - apart:
      run: { await: false, workflow: { namespace: test, name: child, version: '1.0.0', input: { origin: '\${ context.origin }' } } }
  - batches:
      for: { in: '\${ [1, 2, 3, 4, 5] }', each: n }
      do: [{ each: { call: http, with: { method: get, endpoint: '\${ context.origin + "/each/" + string(n) }' } } }]
      metadata: { concurrency: 2, batchSize: 2 }
  - race:
      fork:
        compete: true
        branches:
          - one: { call: http, with: { method: get, endpoint: '\${ context.origin + "/one" }' } }
          - two: { call: http, with: { method: get, endpoint: '\${ context.origin + "/two" }' } }
  - asked:
      call: human.approval
      with: { title: Go on?, timeout: PT0.2S, onTimeout: continue }
  - undoable:
      call: fs.put
      with: { path: undone.txt, content: x }
      metadata:
        compensate: [{ undo: { call: http, with: { method: delete, endpoint: '\${ context.origin + "/undo" }' } } }]
  - scripted:
      call: script.run
      with:
        input: { origin: '\${ context.origin }', token: '\${ secrets.token }' }
        code: |
          const { origin, token } = input;
          const tries = [
            () => fetch(origin + '/script'),
            () => require('node:http').get(origin + '/script'),
            () => import('node:fs').then((fs) => fs.writeFileSync('/tmp/x', token)),
            () => console.log.constructor('return this')().process.mainModule.require('node:net').connect(80),
            () => (async () => {}).constructor("return process.binding('fs')")(),
          ];
          const reached = [];
          for (const attempt of tries) await Promise.resolve().then(attempt).then((got) => reached.push(String(got)), () => undefined);
          return { reached, token };
  - process:
      run:
        script:
          language: js
          arguments: ['\${ context.origin }']
          environment: { TOKEN: '\${ secrets.token }' }
          code: |
            import fs from 'node:fs';
            try { fs.writeFileSync('/tmp/x', 'x'); } catch { console.log('refused'); }
            try { console.log(fs.readFileSync('/etc/passwd', 'utf8')); } catch { console.log('refused'); }
            console.log(process.env.TOKEN);
  - drop: { call: fs.delete, with: { path: a/b.txt, ifMissing: ignore } }
  - end: { raise: { error: { type: 'https://example.com/end', status: 500, title: the end } } }
`;

const servers = new LoopbackServers();
let server: LoopbackServer;
let postgres: LoopbackServer;
let catalog: CatalogFolder;
let nats: TestNats | undefined;
let test: TestWorker;

beforeAll(async () => {
  server = await servers.http((request, response) => {
    if (request.url === '/redirect') response.writeHead(302, { location: '/redirected' }).end();
    else {
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify(request.url === '/openapi.json' ? { ...DOCUMENT, servers: [{ url: server.origin }] } : { a: 1 }),
      );
    }
  });
  postgres = await servers.tcp((socket) => socket.destroy());
  const child =
    'do: [{ inChild: { call: http, with: { method: get, endpoint: \'${ workflow.input.origin + "/child" }\' } } }]';
  catalog = makeCatalogFolder({ 'child.yaml': flowText('test/child:1.0.0', child) });
  const binary = findNatsServer();
  nats = binary === undefined ? undefined : await startNats(binary);
  process.env.BLW_TEST_DRY_TOKEN = SECRET;
  process.env.BLW_TEST_DRY_LOGIN = JSON.stringify({ username: 'ann', password: SECRET });
  test = await startTestWorker({
    pools: 'io,cpu,sandbox',
    catalog: catalog.folder,
    secret: ['token=env:BLW_TEST_DRY_TOKEN', 'login=env:BLW_TEST_DRY_LOGIN'],
    database: ['test=sqlite:test.db', `pg=postgres://u:p@127.0.0.1:${postgres.port}/x`],
    ...(nats === undefined ? {} : { 'nats-url': nats.url }),
  });
}, 60_000);

afterAll(async () => {
  await test?.stop();
  await nats?.stop();
  await servers.close();
  catalog?.dispose();
  delete process.env.BLW_TEST_DRY_TOKEN;
  delete process.env.BLW_TEST_DRY_LOGIN;
});

/** All that a flow of a tenant has done outside of Temporal and the state of quotas. */
async function effectsOf(tenant: string) {
  const state = new Database(join(test.folder, 'blobs', 'state.sqlite'), { readonly: true });
  const count = (table: string, what = 'COUNT(*)'): number =>
    (state.prepare(`SELECT ${what} AS n FROM ${table} WHERE tenant = ?`).get(tenant) as { n: number }).n;
  try {
    return {
      connections: server.connections(),
      postgres: postgres.connections(),
      database: existsSync(join(test.folder, 'test.db')),
      files: filesBelow(join(test.folder, 'blobs')),
      usage: count('beamline_usage', 'COALESCE(SUM(steps + failures + approvals + bytes_in + bytes_out), 0)'),
      outbox: count('beamline_outbox'),
      messages:
        nats === undefined ? 0 : (await messagesOf(nats.url, 'BEAMLINE_EVENTS', `beamline.events.${tenant}.`)).length,
      bus: await isThere(`${test.queuePrefix}-events:${tenant}`),
    };
  } finally {
    state.close();
  }
}

/** Without the state store, and the key that every worker makes for large payloads. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('state.sqlite'))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
}

async function isThere(workflowId: string): Promise<boolean> {
  return await test.client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      () => true,
      () => false,
    );
}

async function start(flow: JsonObject, input: JsonObject, extra: JsonObject): Promise<WorkflowHandle> {
  return await test.client.workflow.start(RUN_FLOW, {
    workflowId: `dry-${randomUUID()}`,
    taskQueue: `${test.queuePrefix}-${extra.mode === 'dry-run' ? 'sandbox' : 'io'}`,
    args: [{ flow, input, ...extra }],
  });
}

function find(steps: readonly ReportedStep[], name: string): ReportedStep[] {
  return steps.flatMap((step) => [...(step.name === name ? [step] : []), ...find(step.flow?.steps ?? [], name)]);
}

const NOTHING = { connections: 0, postgres: 0, database: false, usage: 0, outbox: 0, messages: 0, bus: false };

describe('a hostile flow', () => {
  const flow = flowOf(HOSTILE);

  it('reaches nothing in a dry run', async () => {
    const before = await effectsOf('dry');
    expect(before).toMatchObject(NOTHING);
    const handle = await start(flow, { origin: server.origin }, { tenant: 'dry', mode: 'dry-run' });
    const report = (await handle.result()) as unknown as DryRunReport;
    expect(report.error).toMatchObject({ title: 'the end', compensation: { completed: 1, failed: [] } });
    // All of it was gone through.
    for (const name of [
      'redirected',
      'cached',
      'secretly',
      'streamed',
      'pets',
      'put',
      'stat',
      'get',
      'list',
      'create',
      'insert',
      'select',
      'pgQuery',
      'told',
      'called',
      'asked',
      'undoable',
      'drop',
      'undo',
      'scripted',
      'process',
    ])
      expect(find(report.steps, name)).toMatchObject([{ status: 'completed' }]);
    expect(find(report.steps, 'inChild')).toHaveLength(2);
    expect(
      find(report.steps, 'each')
        .map(({ iteration }) => iteration)
        .sort(),
    ).toEqual(['0', '1', '2', '3', '4']);
    expect(await effectsOf('dry')).toEqual(before);
  }, 60_000);

  it('runs its scripts, which reach nothing and have no secret', async () => {
    const handle = await start(flow, { origin: server.origin }, { tenant: 'dry', mode: 'dry-run' });
    const report = (await handle.result()) as unknown as DryRunReport;
    expect(find(report.steps, 'scripted')).toMatchObject([
      { answer: 'computed', output: { reached: [], token: '***' } },
    ]);
    expect(find(report.steps, 'process')).toMatchObject([{ answer: 'computed', output: 'refused\nrefused\n***\n' }]);
  }, 60_000);

  it('starts nothing but dry runs, all of them in the sandbox', async () => {
    const handle = await start(flow, { origin: server.origin }, { tenant: 'dry', mode: 'dry-run' });
    await handle.result();
    const { events } = await handle.fetchHistory();
    const queues = (events ?? []).flatMap((event) => [
      event.activityTaskScheduledEventAttributes?.taskQueue?.name ?? [],
      event.startChildWorkflowExecutionInitiatedEventAttributes?.taskQueue?.name ?? [],
    ]);
    expect(new Set(queues.flat())).toEqual(new Set([`${test.queuePrefix}-sandbox`]));
    const types = (events ?? []).map(
      (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name,
    );
    expect(new Set(types.filter((type) => type !== undefined))).toEqual(new Set([RUN_FLOW, 'runWindow']));
    expect((events ?? []).some((event) => event.signalExternalWorkflowExecutionInitiatedEventAttributes != null)).toBe(
      false,
    );
  }, 60_000);

  it('shows no secret, in its report or in history', async () => {
    const handle = await start(flow, { origin: server.origin }, { tenant: 'dry', mode: 'dry-run' });
    const report = (await handle.result()) as unknown as DryRunReport;
    expect(find(report.steps, 'secretly')).toMatchObject([
      { input: { headers: { 'x-token': '***' }, body: { token: 'x***' } } },
    ]);
    expect(await historyText(handle)).not.toContain(SECRET);
  }, 60_000);

  it('does all of it as a live flow, so that the tests above could fail', async () => {
    const files = filesBelow(join(test.folder, 'blobs'));
    const handle = await start(flow, { origin: server.origin }, { tenant: 'live' });
    await expect(handle.result()).rejects.toThrow();
    const after = await eventually(async () => {
      const now = await effectsOf('live');
      return now.messages === 0 && nats !== undefined ? undefined : now;
    });
    const { connections, postgres: reached, database, usage, bus } = after;
    expect([connections > 0, reached > 0, database, usage > 0, bus]).toEqual([true, true, true, true, true]);
    expect(after.files.length).toBeGreaterThan(files.length);
    const urls = server.requests.map(({ url }) => url);
    for (const path of [
      '/redirected',
      '/cached',
      '/secret',
      '/stream',
      '/openapi.json',
      '/pets',
      '/caught',
      '/function',
      '/child',
      '/each/5',
      '/one',
      '/undo',
    ])
      expect(urls).toContain(path);
  }, 60_000);
});
