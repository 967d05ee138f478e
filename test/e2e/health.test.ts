import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json, JsonObject } from '../../src/dsl/json';
import { parseWorkerConfig } from '../../src/worker/config';
import type { LogFields } from '../../src/worker/logger';
import { mergeOptions } from '../../src/worker/options';
import { startWorker } from '../../src/worker/run-worker';
import { freePort } from '../../temporal-dev/ports';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { scrape } from '../helpers/metrics-text';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { TcpProxy } from '../helpers/tcp-proxy';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];
const policyOf = (quotas: Json) => JSON.stringify({ version: 1, tenants: { acme: { scopes: SCOPES, quotas } } });

const binaries = findPostgresBinaries();
const servers = new LoopbackServers();
const logged: { level: string; message: string; fields: LogFields }[] = [];
let folder: string;
let policyFile: string;
let postgres: TestPostgres | undefined;
let temporal: TcpProxy;
let store: TcpProxy | undefined;
let nats: TcpProxy;
let gate: Gate;
let worker: TestWorker;
let url: string;
/** What takes too long to be waited for in its test. */
const late: (() => Promise<void>)[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  policyFile = join(folder, 'policy.json');
  writeFileSync(policyFile, policyOf({ concurrentSteps: 1 }));
  gate = await new Gate().open(servers);
  if (binaries !== undefined) postgres = await startPostgres(binaries);
  const { address, namespace } = testTemporal();
  temporal = await TcpProxy.start(Number(address.split(':').at(-1)));
  if (postgres !== undefined) store = await TcpProxy.start(postgres.port);
  // Nobody is behind it.
  nats = await TcpProxy.start(await freePort('127.0.0.1'));
  worker = await startTestWorker(
    {
      policy: policyFile,
      'prometheus-endpoint': '127.0.0.1:0',
      'nats-url': `nats://127.0.0.1:${nats.port}`,
      'shutdown-grace': '20',
      pools: 'io,cpu',
      ...(store === undefined || postgres === undefined
        ? {}
        : { 'state-store': postgres.url.replace(`:${postgres.port}/`, `:${store.port}/`) }),
    },
    { address: `127.0.0.1:${temporal.port}`, namespace },
    { log: (level, message, fields = {}) => logged.push({ level, message, fields }) },
  );
  url = worker.worker.metricsUrl ?? '';
}, 90_000);

afterAll(async () => {
  for (const check of late) await check();
  gate.let();
  temporal.mend();
  store?.mend();
  await worker.stop();
  await Promise.all([temporal, store, nats].map((proxy) => proxy?.close()));
  await servers.close();
  await postgres?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

async function get(path: string, from = url): Promise<{ status: number; body: JsonObject }> {
  const response = await fetch(`${from}${path}`);
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  return { status: response.status, body: (await response.json()) as JsonObject };
}

const readyWhen = (status: number, deadlineMs = 30_000) =>
  eventually(async () => {
    const ready = await get('/readyz');
    return ready.status === status ? ready : undefined;
  }, deadlineMs);
const degraded = async (part: string) => (await scrape(url)).value('worker_degraded', { part });
const degradedWhen = (part: string, value: number) =>
  eventually(async () => ((await degraded(part)) === value ? true : undefined), 30_000);
const linesOf = (part: string) =>
  logged.filter(({ fields }) => fields.part === part).map(({ level, message }) => `${level} ${message}`);

test('a worker that starts lives and is not ready, and says what it waits for', async () => {
  const callers: Socket[] = [];
  const silent = createServer((caller) => callers.push(caller));
  const port = await new Promise<number>((resolve) => {
    silent.listen(0, '127.0.0.1', () => resolve(Number((silent.address() as { port: number }).port)));
  });
  const endpoint = `127.0.0.1:${await freePort('127.0.0.1')}`;
  const flags = { 'blob-root': join(folder, 'blobs'), 'prometheus-endpoint': endpoint };
  const starting = startWorker({
    config: parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder),
    target: { address: `127.0.0.1:${port}`, namespace: 'default' },
    logger: { log: () => undefined },
    workerId: 'starting',
  });
  const refused = expect(starting).rejects.toMatchObject({ data: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
  const checks = { worker: `starting: it connects to Temporal at 127.0.0.1:${port}` };
  await eventually(async () => {
    const { status, body } = await get('/readyz', `http://${endpoint}`);
    return status === 503 && JSON.stringify(body.checks) === JSON.stringify(checks) ? true : undefined;
  });
  expect((await get('/livez', `http://${endpoint}`)).status).toBe(200);
  expect((await get('/status', `http://${endpoint}`)).body).toMatchObject({
    starting: `it connects to Temporal at 127.0.0.1:${port}`,
    temporal: { reachable: false },
    pools: [],
    tenants_over_quota: null,
  });
  late.push(async () => {
    await refused;
    await expect(fetch(`http://${endpoint}/livez`)).rejects.toThrow();
    for (const caller of callers) caller.destroy();
    silent.close();
  });
});

test('a worker that serves its pools lives and is ready, and says what it does', async () => {
  expect(await readyWhen(200)).toEqual({
    status: 200,
    body: {
      ready: true,
      checks: { worker: 'ok', temporal: 'ok', pools: 'ok', state_store: 'ok', blob_store: 'ok' },
    },
  });
  expect(await get('/livez')).toEqual({ status: 200, body: { alive: true, checks: { pools: 'ok' } } });
  const { body } = await get('/status');
  expect(body).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    worker_id: worker.queuePrefix,
    draining: false,
    namespace: testTemporal().namespace,
    temporal: { reachable: true, address: `127.0.0.1:${temporal.port}` },
    pools: [
      { resources: 'io', task_queue: `${worker.queuePrefix}-io`, slots: 16, used: 0, polling: true, queue_depth: 0 },
      { resources: 'cpu', task_queue: `${worker.queuePrefix}-cpu`, polling: true, queue_age_seconds: 0 },
    ],
    tenants_over_quota: [],
  });
  expect(Date.parse(String(body.started_at))).toBeLessThanOrEqual(Date.now());
});

test('tenants over a quota are named, by the names of the policy', async () => {
  const handle = await worker.start(`do: [{a: {call: http, with: {method: get, endpoint: '${gate.url}'}}}]`, null, {
    tenant: 'acme',
  });
  await gate.holds(1);
  await eventually(async () => {
    const { body } = await get('/status');
    return JSON.stringify(body.tenants_over_quota) === '[{"tenant":"acme","quota":"concurrentSteps"}]'
      ? true
      : undefined;
  });
  expect((await get('/status')).body).toMatchObject({ pools: [{ used: 1 }, { used: 0 }] });
  gate.let();
  await handle.result();
});

test('a worker is not ready while Temporal is away, lives on, and says so once each way', async () => {
  temporal.cut();
  const { body } = await readyWhen(503);
  expect(body).toMatchObject({ ready: false, checks: { worker: 'ok', temporal: expect.not.stringMatching(/^ok$/) } });
  await degradedWhen('temporal', 1);
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/status')).body).toMatchObject({
    temporal: { reachable: false },
    pools: [{ queue_depth: null }, { queue_depth: null }],
  });
  temporal.mend();
  await readyWhen(200);
  expect(await degraded('temporal')).toBe(0);
  expect(linesOf('temporal')).toEqual(['warn Temporal does not answer', 'info Temporal answers again']);
}, 90_000);

(binaries === undefined ? test.skip : test)(
  'a worker is not ready while its state store is away',
  async () => {
    store?.cut();
    const { body } = await readyWhen(503);
    expect(body.checks).toMatchObject({
      temporal: 'ok',
      state_store: expect.stringContaining('the state store cannot'),
    });
    expect(await degraded('state_store')).toBe(1);
    expect(JSON.stringify(await get('/status'))).not.toContain(encodeURIComponent(postgres?.password ?? ''));
    await eventually(async () => ((await get('/status')).body.tenants_over_quota === null ? true : undefined));
    store?.mend();
    await readyWhen(200);
    expect(await degraded('state_store')).toBe(0);
    expect(linesOf('state_store')).toEqual([
      'warn the state store does not answer; steps of tenants with quotas wait',
      'info the state store answers again',
    ]);
  },
  60_000,
);

test('a blob store that is gone is told', async () => {
  const root = join(worker.folder, 'blobs');
  renameSync(root, `${root}-away`);
  await readyWhen(503);
  await degradedWhen('blob_store', 1);
  renameSync(`${root}-away`, root);
  await readyWhen(200);
  expect(linesOf('blob_store')).toEqual([
    'warn the blob store cannot be used',
    'info the blob store can be used again',
  ]);
}, 60_000);

test('a policy file that is not taken is told, and a worker is ready all the same', async () => {
  expect(await degraded('policy')).toBe(0);
  writeFileSync(policyFile, '{');
  await degradedWhen('policy', 1);
  expect((await get('/readyz')).status).toBe(200);
  expect((await get('/status')).body.degraded).toContainEqual({
    part: 'policy',
    since: expect.stringMatching(/^\d{4}-.*Z$/),
    message: 'the file was not taken, the policy before is in force: see the log',
  });
  writeFileSync(policyFile, policyOf({}));
  await degradedWhen('policy', 0);
});

test('NATS that is away is told, with one line, and nothing waits for it', async () => {
  await degradedWhen('nats', 1);
  expect((await get('/readyz')).status).toBe(200);
  expect(linesOf('nats')).toEqual(['warn NATS is away: events and dead letters wait in the state store']);
});

test('a worker that drains lives and is not ready until its steps have ended', async () => {
  const handle = await worker.start(`do: [{a: {call: http, with: {method: get, endpoint: '${gate.url}'}}}]`, null, {
    tenant: 'acme',
  });
  await gate.holds(1);
  const stopping = worker.worker.stop();
  expect(await get('/readyz')).toEqual({
    status: 503,
    body: { ready: false, checks: { worker: 'draining: it takes no more steps' } },
  });
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/status')).body).toMatchObject({ draining: true, pools: [{ used: 1, polling: false }, {}] });
  gate.let();
  await stopping;
  await expect(fetch(`${url}/livez`)).rejects.toThrow();
  await handle.terminate().catch(() => undefined);
});
