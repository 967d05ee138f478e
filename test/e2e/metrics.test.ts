import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Json } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { connectClient } from '../../src/worker/temporal-connection';
import { freePort } from '../../temporal-dev/ports';
import { Gate } from '../helpers/gate';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { listedMetrics } from '../helpers/metric-list';
import { scrape } from '../helpers/metrics-text';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf } from '../helpers/test-worker';
import { WorkerProcesses } from '../helpers/worker-process';

const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*', 'blob:read:*', 'blob:write:*', 'sql:write:*'];
const POLICY = {
  version: 1,
  tenants: {
    acme: { scopes: SCOPES },
    small: { scopes: SCOPES, quotas: { concurrentSteps: 1 } },
    poor: { scopes: ['flow:start', 'block:*', 'resources:*'] },
  },
};

const queuePrefix = `metrics-${randomUUID()}`;
const binaries = findPostgresBinaries();
const servers = new LoopbackServers();
const processes = new WorkerProcesses();
let folder: string;
let postgres: TestPostgres | undefined;
let service: LoopbackServer;
let gate: Gate;
let client: Client;
let close: () => Promise<void>;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  if (binaries !== undefined) postgres = await startPostgres(binaries);
  let isFlaky = true;
  service = await servers.http((request, response) => {
    response.statusCode = request.url === '/missing' ? 404 : request.url === '/flaky' && isFlaky ? 503 : 200;
    if (request.url === '/flaky') isFlaky = false;
    response.end('{"ok":true}');
  });
  gate = await new Gate().open(servers);
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(POLICY));
  const endpoint = `127.0.0.1:${await freePort('127.0.0.1')}`;
  url = `http://${endpoint}`;
  await processes.start([
    ...['--queue-prefix', queuePrefix, '--pools', 'io,cpu', '--cpu-pool-size', '1', '--max-memory-mb', '64'],
    ...['--blob-root', join(folder, 'blobs'), '--database', `test=sqlite:${join(folder, 'test.db')}`],
    ...(postgres === undefined ? [] : ['--database', `pg=${postgres.url}`]),
    ...['--allow-host', '127.0.0.1', '--policy', join(folder, 'policy.json'), '--prometheus-endpoint', endpoint],
  ]);
  ({ client, close } = await connectClient(testTemporal()));
}, 90_000);

afterAll(async () => {
  gate.let();
  await close();
  await processes.killAll();
  await servers.close();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (flow: string, tenant = 'acme'): Promise<WorkflowHandle> =>
  client.workflow.start(RUN_FLOW, {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `metrics-${randomUUID()}`,
    args: [{ flow: flowOf(flow), input: null, tenant }],
  });
const run = async (flow: string, tenant?: string): Promise<Json> =>
  (await (await start(flow, tenant)).result()) as Json;
const fail = async (flow: string, tenant?: string) => errorOf(await start(flow, tenant));

/** How much a series grew while something was done. */
async function growth(act: () => Promise<unknown>): Promise<(name: string, labels?: Record<string, string>) => number> {
  const before = await scrape(url);
  await act();
  const after = await scrape(url);
  return (name, labels = {}) => after.value(name, labels) - before.value(name, labels);
}

const http = (path: string, more = '') =>
  `{call: http, ${more} with: {method: get, endpoint: '${service.origin}${path}'}}`;
const held = (more = '') => `{call: http, ${more} with: {method: get, endpoint: '${gate.url}'}}`;

test('steps that complete are counted, with what they did to HTTP services, blobs and databases', async () => {
  const grown = await growth(() =>
    run(`do:
  - get: ${http('/ok')}
  - post: {call: http, with: {method: post, endpoint: '${service.origin}/ok', body: {text: hello}}}
  - put: {call: fs.put, with: {path: a.txt, content: twelve bytes}}
  - read: {call: fs.get, with: {path: a.txt}}
  - list: {call: fs.list, with: {}}
  - create: {call: sql.execute, with: {database: test, statement: 'CREATE TABLE t (a INTEGER)'}}
  - insert: {call: sql.transaction, with: {database: test, statements: [{statement: 'INSERT INTO t VALUES (1)'}]}}
  - select: {call: sql.query, with: {database: test, statement: SELECT a FROM t}}
  - onCpu: {call: fs.stat, metadata: {resources: cpu}, with: {path: a.txt}}`),
  );
  const completed = (type: string) => grown('worker_tasks_total', { type, status: 'completed' });
  expect(completed('http.request')).toBe(2);
  for (const type of ['fs.put', 'fs.get', 'fs.list', 'fs.stat', 'sql.execute', 'sql.transaction', 'sql.query']) {
    expect([type, completed(type), grown('worker_task_latency_ms_count', { type })]).toEqual([type, 1, 1]);
  }
  expect(grown('worker_task_schedule_to_start_ms_count', { pool: 'io' })).toBe(8);
  expect(grown('worker_task_schedule_to_start_ms_count', { pool: 'cpu' })).toBe(1);
  expect(grown('beamline_http_requests_total', { method: 'GET', status: '2xx' })).toBe(1);
  expect(grown('beamline_http_requests_total', { method: 'POST', status: '2xx' })).toBe(1);
  expect(grown('beamline_http_request_ms_count')).toBe(2);
  expect(grown('beamline_http_bytes_total', { direction: 'in' })).toBe(2 * '{"ok":true}'.length);
  expect(grown('beamline_http_bytes_total', { direction: 'out' })).toBe('{"text":"hello"}'.length);
  for (const operation of ['put', 'read', 'list', 'stat']) {
    const done = grown('beamline_blob_operations_total', { operation, status: 'ok' });
    expect([operation, done]).toEqual([operation, 1]);
  }
  expect(grown('beamline_blob_bytes_total', { direction: 'out' })).toBe('twelve bytes'.length);
  expect(grown('beamline_blob_bytes_total', { direction: 'in' })).toBe('twelve bytes'.length);
  for (const operation of ['execute', 'transaction', 'query']) {
    const done = grown('beamline_sql_statements_total', { kind: 'sqlite', operation, status: 'ok' });
    expect([operation, done]).toEqual([operation, 1]);
  }
  expect(grown('beamline_sql_statement_ms_count', { kind: 'sqlite' })).toBe(3);
});

(binaries === undefined ? test.skip : test)('statements on PostgreSQL are counted as such', async () => {
  const grown = await growth(async () => {
    await run('do: [{q: {call: sql.query, with: {database: pg, statement: SELECT 1 AS one}}}]');
    await fail('do: [{q: {call: sql.query, with: {database: pg, statement: SELECT none}}}]');
  });
  const statements = (status: string) =>
    grown('beamline_sql_statements_total', { kind: 'postgres', operation: 'query', status });
  expect([statements('ok'), statements('failed')]).toEqual([1, 1]);
  expect(grown('beamline_sql_statement_ms_count', { kind: 'postgres' })).toBe(2);
  expect(grown('worker_task_failures_total', { type: 'sql.query', code: 'BLW_SQL_STATEMENT' })).toBe(1);
});

test('attempts that fail are counted by their code, and attempts beyond the first as retries', async () => {
  const grown = await growth(async () => {
    await run(`do: [{s: ${http('/flaky', 'metadata: {retry: {initialInterval: PT0.05S}},')}}]`);
    await fail(`do: [{s: ${http('/missing')}}]`);
  });
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'completed' })).toBe(1);
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'failed' })).toBe(2);
  expect(grown('worker_task_retries_total', { type: 'http.request' })).toBe(1);
  expect(grown('worker_task_failures_total', { type: 'http.request', code: 'BLW_HTTP_STATUS' })).toBe(2);
  for (const status of ['2xx', '4xx', '5xx']) {
    const answered = grown('beamline_http_requests_total', { method: 'GET', status });
    expect([status, answered]).toEqual([status, 1]);
  }
});

test('a step that is cancelled is counted as cancelled, and as no failure', async () => {
  const grown = await growth(async () => {
    const handle = await start(`do: [{s: ${held()}}]`);
    await gate.holds(1);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    await gate.holds(0);
    await eventually(async () =>
      (await scrape(url)).value('worker_pool_slots', { pool: 'io', state: 'used' }) === 0 ? true : undefined,
    );
  });
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'cancelled' })).toBe(1);
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'failed' })).toBe(0);
  expect(grown('beamline_http_requests_total', { method: 'GET', status: 'error' })).toBe(1);
});

test('a step that waits for a quota is counted by the quota, and not by how long it ran', async () => {
  const grown = await growth(async () => {
    const flows = [await start(`do: [{s: ${held()}}]`, 'small'), await start(`do: [{s: ${held()}}]`, 'small')];
    await gate.holds(1);
    await eventually(async () => {
      const page = await scrape(url);
      return page.value('beamline_quota_waits_total', { quota: 'concurrentSteps' }) > 0 ? true : undefined;
    });
    gate.let();
    await gate.holds(1);
    gate.let();
    for (const flow of flows) await flow.result();
  });
  const waits = grown('beamline_quota_waits_total', { quota: 'concurrentSteps' });
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'waiting' })).toBe(waits);
  expect(grown('worker_tasks_total', { type: 'http.request', status: 'completed' })).toBe(2);
  expect(grown('worker_task_latency_ms_count', { type: 'http.request' })).toBe(2);
  expect(grown('worker_task_retries_total', { type: 'http.request' })).toBe(0);
});

test('what is denied is counted: a step without its scope, a start of an unknown tenant', async () => {
  const grown = await growth(async () => {
    await fail(`do: [{s: ${http('/ok')}}]`, 'poor');
    await fail(`do: [{s: ${http('/ok')}}]`, 'nobody');
  });
  expect(grown('beamline_scope_denials_total', { code: 'BLW_SCOPE_DENIED' })).toBe(1);
  expect(grown('beamline_scope_denials_total', { code: 'BLW_TENANT_DENIED' })).toBe(1);
  expect(grown('worker_task_failures_total', { type: 'http.request', code: 'BLW_SCOPE_DENIED' })).toBe(1);
});

test('a child process that is ended for its memory is counted with its reason', async () => {
  const rows = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 900)';
  const hog = `${rows} SELECT length(group_concat(hex(randomblob(500000)))) FROM c`;
  const grown = await growth(() =>
    fail(
      `do: [{s: {call: sql.query, metadata: {retry: {maximumAttempts: 1}}, with: {database: test, statement: '${hog}'}}}]`,
    ),
  );
  expect(grown('worker_child_process_exits_total', { pool: 'io', reason: 'memory' })).toBe(1);
  expect(grown('worker_child_process_exits_total', { pool: 'io', reason: 'crash' })).toBe(0);
  expect(grown('worker_task_failures_total', { type: 'sql.query', code: 'BLW_BLOCK_CRASHED' })).toBe(1);
});

test("the depth of a queue is Temporal's own backlog, and slots and processes are shown as used", async () => {
  const onCpu = held('metadata: {resources: cpu},');
  const first = await start(`do: [{s: ${onCpu}}]`);
  await gate.holds(1);
  const branches = Array.from({ length: 20 }, (_, index) => `{b${index}: ${onCpu}}`).join(', ');
  const rest = await start(`do: [{f: {fork: {branches: [${branches}]}}}]`);
  const page = await eventually(async () => {
    const now = await scrape(url);
    return now.value('worker_pool_queue_depth', { pool: 'cpu' }) === 20 ? now : undefined;
  });
  expect(page.value('worker_pool_queue_age_seconds', { pool: 'cpu' })).toBeGreaterThan(0);
  expect(page.has('worker_pool_queue_depth', { pool: 'gpu' })).toBe(false);
  expect(page.value('worker_pool_slots', { pool: 'cpu', state: 'used' })).toBe(1);
  expect(page.value('worker_pool_slots', { pool: 'cpu', state: 'free' })).toBe(0);
  expect(page.value('worker_child_processes', { pool: 'cpu', state: 'busy' })).toBe(1);
  expect(page.value('worker_flows_cached')).toBeGreaterThanOrEqual(2);
  await rest.terminate();
  gate.let();
  await first.result();
});

test('no flow, tenant, database or workflow of others makes series of its own', async () => {
  const odd = `odd${randomUUID().replaceAll('-', '')}`;
  await fail(`do: [{s: ${http('/ok')}}]`, odd);
  await fail(`do: [{${odd}: {call: sql.query, with: {database: ${odd}, statement: SELECT 1}}}]`);
  await fail(`do: [{s: {call: ${odd}, with: {}}}]`);
  await fail(`do: [{s: {raise: {error: {type: 'https://${odd}', status: 499, title: ${odd}}}}}]`);
  await client.workflow.start(odd, { taskQueue: `${queuePrefix}-io`, workflowId: odd });
  const after = await eventually(async () => {
    const page = await scrape(url);
    return page.text.includes('workflow_type="other"') ? page : undefined;
  });
  expect(after.text).not.toContain(odd);
});

test("the page has the metrics of the process and of Temporal's SDK, and Prometheus' own tool reads it", async () => {
  const page = await scrape(url);
  expect(page.value('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(page.has('nodejs_eventloop_lag_p99_seconds')).toBe(true);
  expect(page.types.get('temporal_request_latency')).toBe('histogram');
  expect(page.sum('temporal_workflow_completed')).toBeGreaterThan(0);
  expect(page.value('worker_resource_usage', { resource: 'cpu_time_ms' })).toBeGreaterThan(0);
  // The worker, the process that evaluates expressions, and those of the pools.
  const memory = page.value('worker_resource_usage', { resource: 'memory_bytes' });
  expect(memory).toBeGreaterThan(page.value('process_resident_memory_bytes'));
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: page.text, encoding: 'utf8' });
  if (promtool.error !== undefined) return;
  // 1: it cannot be read; 3: it can be read, and is not as Prometheus' authors would name things (`_ms`).
  expect([0, 3]).toContain(promtool.status);
});

test('what docs/metrics.md lists of the worker, of Node and of the SDK is on the page, with its type and its labels', async () => {
  const page = await scrape(url);
  // Counters of Temporal's SDK are there once there is something to count; what is of the installation, one worker shows for all.
  const isRare = (name: string): boolean => name.startsWith('temporal_') || name.startsWith('beamline_');
  for (const [name, { type, labels }] of listedMetrics()) {
    if (!page.types.has(name)) expect({ name, isRare: isRare(name) }).toEqual({ name, isRare: true });
    else expect({ name, type: page.types.get(name) }).toEqual({ name, type });
    const series = [...page.series(name), ...page.series(`${name}_count`)];
    const used = new Set(series.flatMap(([text]) => [...text.matchAll(/(\w+)="/g)].map(([, label = '']) => label)));
    expect({ name, unlisted: [...used].filter((label) => !labels.includes(label)) }).toEqual({ name, unlisted: [] });
    // The SDK leaves a label out where it means nothing.
    const isExact = series.length > 0 && !name.startsWith('temporal_');
    if (isExact) expect({ name, labels: [...used].sort() }).toEqual({ name, labels: [...labels].sort() });
  }
  const sdk = [...page.types.keys()].filter((name) => name.startsWith('temporal_'));
  expect(sdk.filter((name) => listedMetrics().has(name)).length).toBeGreaterThan(15);
});
