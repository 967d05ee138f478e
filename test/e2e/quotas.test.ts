import { randomUUID } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import Sqlite from 'better-sqlite3';
import type { Json } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import type { OptionValues } from '../../src/worker/options';
import type { Quotas } from '../../src/worker/policy/policy';
import { execute, query, type Rule, type StateRow } from '../../src/worker/state/rule';
import { openSqliteStore } from '../../src/worker/state/sqlite-store';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const servers = new LoopbackServers();
let folder: string;
let policy: string;
const workers: TestWorker[] = [];
let gate: Gate;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  policy = join(folder, 'policy.json');
  gate = await new Gate().open(servers);
});
afterEach(async () => {
  gate.let();
  for (const worker of workers.splice(0)) await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => servers.close());

const SCOPES = [
  'flow:start',
  'block:*',
  'resources:*',
  'http:*:*',
  'blob:read:*',
  'blob:write:*',
  'approval:*',
  'sql:read:*',
];

/** Puts a policy in force; the file takes durations in words. */
function allow(quotas: Omit<Quotas, 'cpuTime'> & { cpuTime?: { max: string; window: string } }): void {
  const tenant = { scopes: SCOPES, quotas, privateHosts: ['127.0.0.1'] };
  const other = { scopes: SCOPES, privateHosts: ['127.0.0.1'] };
  writeFileSync(`${policy}.new`, JSON.stringify({ version: 1, tenants: { acme: tenant, other } }));
  renameSync(`${policy}.new`, policy);
}

/** Workers on the same task queues and with the same store; gives the first. */
async function startWorkers(count: number, more: OptionValues = {}): Promise<TestWorker> {
  const shared = {
    ...more,
    'queue-prefix': `quota-${randomUUID()}`,
    'state-store': `sqlite:${join(folder, 'state.sqlite')}`,
    policy,
  };
  for (let index = 0; index < count; index += 1) {
    workers.push({ ...(await startTestWorker(shared)), queuePrefix: shared['queue-prefix'] });
  }
  const [worker] = workers;
  if (worker === undefined) throw new Error('there is no worker');
  return worker;
}

const call = (name = 's') => `{${name}: {call: http, with: {method: get, endpoint: '${gate.url}'}}}`;
const fork = (count: number) =>
  `do: [{f: {fork: {branches: [${Array.from({ length: count }, (_, index) => call(`b${index}`)).join(', ')}]}}}]`;
const start = ({ client, queuePrefix }: TestWorker, flow: string, input: Json = null, tenant = 'acme') =>
  client.workflow.start(RUN_FLOW, {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `quota-${randomUUID()}`,
    args: [{ flow: flowOf(flow), input, tenant }],
  });

/** Attempts of a flow's activities, as its history has them. */
async function attemptsOf(handle: WorkflowHandle): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []);
}

async function signalsOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes != null).length;
}

test('a fork runs as many branches at once as the tenant may, and sends out no more', async () => {
  allow({ concurrentSteps: 3 });
  const worker = await startWorkers(1);
  const handle = await start(worker, fork(10));
  await gate.holds(3);
  const { steps } = await progressWhen(
    handle,
    (progress) => progress.steps.filter(({ status }) => status === 'awaitingQuota').length === 7,
  );
  expect(steps.filter(({ status }) => status === 'running')).toHaveLength(4);
  for (let left = 10; left > 0; left -= 1) {
    await gate.holds(Math.min(3, left));
    gate.let(1);
  }
  await handle.result();
  expect(gate.most).toBe(3);
  expect(await attemptsOf(handle)).toEqual(Array(10).fill(1));
  expect(await signalsOf(handle)).toBe(0);
});

test('flows of one tenant on two workers share its places, in the order in which they came', async () => {
  allow({ concurrentSteps: 2 });
  const worker = await startWorkers(2);
  const first = await start(worker, `do: [${call('a')}, ${call('b')}]`);
  const second = await start(worker, `do: [${call('a')}]`);
  await gate.holds(2);
  const waiting: WorkflowHandle[] = [];
  for (let index = 0; index < 3; index += 1) {
    const handle = await start(worker, `do: [${call()}]`);
    await progressWhen(handle, ({ steps }) => steps[0]?.status === 'awaitingQuota');
    waiting.push(handle);
  }
  const other = await start(worker, `do: [${call()}]`, null, 'other');
  await gate.holds(3);
  gate.let(3);
  await Promise.all([second.result(), other.result()]);
  await Promise.all(
    waiting.slice(0, 2).map((handle) => progressWhen(handle, ({ steps }) => steps[0]?.status === 'running')),
  );
  await gate.holds(2);
  expect((await waiting[2]?.query<{ steps: { status: string }[] }>('progress'))?.steps[0]?.status).toBe(
    'awaitingQuota',
  );
  gate.let(2);
  await gate.holds(2);
  gate.let(2);
  await Promise.all([first, ...waiting].map((handle) => handle.result()));
  expect(gate.most).toBe(3);
  for (const handle of [first, second, ...waiting]) expect(new Set(await attemptsOf(handle))).toEqual(new Set([1]));
});

const isWaiting = ({ steps }: FlowProgress) => steps.at(-1)?.status === 'awaitingQuota';

/** What stands in the store's table, as it is now. */
const rowsOf = (table: 'leases' | 'tickets'): Promise<readonly StateRow[]> =>
  inStore(() => query(`SELECT * FROM beamline_${table}`));

async function inStore<T>(rule: () => Rule<T>): Promise<T> {
  const store = openSqliteStore(join(folder, 'state.sqlite'));
  try {
    return await store.run(rule);
  } finally {
    await store.close();
  }
}

test('a flow that is cancelled while it waits leaves the line at once', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const running = await start(worker, `do: [${call()}]`);
  await gate.holds(1);
  const cancelled = await start(worker, `do: [${call()}]`);
  await progressWhen(cancelled, isWaiting);
  const next = await start(worker, `do: [${call()}]`);
  await progressWhen(next, isWaiting);
  await cancelled.cancel();
  await expect(cancelled.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await rowsOf('tickets')).toMatchObject([{ flow_id: next.workflowId }]);
  gate.let();
  await running.result();
  await gate.holds(1);
  gate.let();
  await next.result();
  expect(await rowsOf('leases')).toEqual([]);
  expect(await rowsOf('tickets')).toEqual([]);
});

test('branches that wait are cancelled together where one fails', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const running = await start(worker, `do: [${call()}]`);
  await gate.holds(1);
  const waits = Array.from({ length: 5 }, (_, index) => call(`b${index}`)).join(', ');
  const failing = await start(
    worker,
    `do: [{f: {fork: {branches: [${waits}, {stop: {do: [{w: {wait: PT3S}}, {r: {raise: {error: {type: 'https://x.test/e', status: 500}}}}]}}]}}}]`,
  );
  await eventually(async () => ((await rowsOf('tickets')).length === 1 ? true : undefined));
  expect(await errorOf(failing)).toMatchObject({ type: 'https://x.test/e' });
  expect(await rowsOf('tickets')).toEqual([]);
  gate.let();
  await running.result();
});

test('a step has its timeout for itself, a flow for all', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const running = await start(worker, `do: [${call()}]`);
  await gate.holds(1);
  const late = `{s: {call: http, timeout: {after: PT2S}, with: {method: get, endpoint: '${gate.url}'}}}`;
  const patient = await start(worker, `do: [${late}]`);
  await progressWhen(patient, isWaiting);
  const hasty = await start(worker, `timeout: {after: PT2.5S}\ndo: [${late}]`);
  expect(await errorOf(hasty)).toMatchObject({ code: 'BLW_STEP_TIMEOUT' });
  expect(await rowsOf('tickets')).toMatchObject([{ flow_id: patient.workflowId }]);
  gate.let();
  await running.result();
  await gate.holds(1);
  gate.let();
  await patient.result();
});

test('a quota that is raised counts for those who wait', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const handles = [await start(worker, fork(3)), await start(worker, fork(2))];
  await eventually(async () => ((await rowsOf('tickets')).length === 1 ? true : undefined));
  await gate.holds(1);
  allow({ concurrentSteps: 4 });
  // Both the one in the tenant's line and those that the flow had not sent out.
  await gate.holds(4);
  gate.let(1);
  await gate.holds(4);
  gate.let();
  await Promise.all(handles.map((handle) => handle.result()));
});

test('a retry that has to wait goes on with its attempts', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  let answers = 0;
  const failing = await servers.http((_, response) => {
    answers += 1;
    response.statusCode = 503;
    response.end();
  });
  const handle = await start(
    worker,
    `do: [{s: {call: http, metadata: {retry: {maximumAttempts: 3, initialInterval: PT2S, backoffCoefficient: 1}}, with: {method: get, endpoint: '${failing.origin}/'}}}]`,
  );
  await eventually(async () => (answers === 1 ? true : undefined));
  const other = await start(worker, `do: [${call()}]`);
  await gate.holds(1);
  await progressWhen(handle, isWaiting);
  gate.let();
  await other.result();
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_STATUS' });
  expect(answers).toBe(3);
  const { steps } = await handle.query<FlowProgress>('progress');
  expect(steps).toMatchObject([{ status: 'failed', attempts: 3 }]);
});

test('a flow that was ended by force is not waited for', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const running = await start(worker, `do: [${call()}]`);
  await gate.holds(1);
  const ended = await start(worker, `do: [${call()}]`);
  await progressWhen(ended, isWaiting);
  const next = await start(worker, `do: [${call()}]`);
  await progressWhen(next, isWaiting);
  await ended.terminate();
  gate.let();
  await running.result();
  await gate.holds(1);
  gate.let();
  await next.result();
  expect(await rowsOf('tickets')).toEqual([]);
});

test('steps per second: steps begin at their times, whoever sends them', async () => {
  allow({ stepsPerSecond: 5 });
  const worker = await startWorkers(2);
  const times: number[] = [];
  const server = await servers.http((_, response) => {
    times.push(performance.now());
    response.end('{}');
  });
  const branches = Array.from(
    { length: 6 },
    (_, index) => `{b${index}: {call: http, with: {method: get, endpoint: '${server.origin}/'}}}`,
  );
  const handles = await Promise.all(
    [1, 2].map(() => start(worker, `do: [{f: {fork: {branches: [${branches.join(', ')}]}}}]`)),
  );
  await Promise.all(handles.map((handle) => handle.result()));
  expect(times).toHaveLength(12);
  // Eleven distances of 200 ms between twelve steps, whatever the machine does to single ones.
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(11 * 200 - 100);
  for (const handle of handles) expect(await attemptsOf(handle)).toEqual(expect.arrayContaining([1]));
});

test('a store that does not answer holds up tenants with quotas only, and nothing of the usage is lost', async () => {
  allow({ concurrentSteps: 1 });
  const worker = await startWorkers(1);
  const blocker = new Sqlite(join(folder, 'state.sqlite'));
  blocker.exec('BEGIN IMMEDIATE');
  const free = await start(worker, `do: [${call('a')}, ${call('b')}]`, null, 'other');
  const bound = await start(worker, `do: [${call()}]`);
  await progressWhen(bound, isWaiting);
  for (let step = 0; step < 2; step += 1) {
    await gate.holds(1);
    gate.let();
  }
  await free.result();
  expect(gate.server.requests).toHaveLength(2);
  blocker.exec('ROLLBACK');
  blocker.close();
  await gate.holds(1);
  gate.let();
  await bound.result();
  await eventually(async () => {
    const counted = await inStore(() => query('SELECT tenant, steps FROM beamline_usage ORDER BY tenant'));
    return counted.length === 2 && counted[1]?.steps === 2 ? true : undefined;
  });
  expect(await attemptsOf(bound)).toEqual([1, 1]);
}, 60_000);

test('CPU time: steps wait for the next window once it is used up, and go on where the policy gives more', async () => {
  allow({ cpuTime: { max: 'PT0.001S', window: 'P1D' } });
  const worker = await startWorkers(1);
  const counting =
    'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100000) SELECT count(*) FROM c';
  const first = await start(worker, `do: [{s: {call: sql.query, with: {database: test, statement: '${counting}'}}}]`);
  await first.result();
  const second = await start(worker, `do: [${call()}]`);
  await progressWhen(second, ({ status }) => status === 'AwaitingQuota');
  expect((await second.describe()).typedSearchAttributes.getAll().map(({ value }) => value)).toContain('AwaitingQuota');
  allow({ cpuTime: { max: 'PT1H', window: 'P1D' } });
  await gate.holds(1);
  await progressWhen(second, ({ status }) => status === 'Running');
  gate.let();
  await second.result();
});

test('CPU time: of flows of many short steps only those go past the window that run at the moment', async () => {
  allow({ cpuTime: { max: 'PT0.001S', window: 'P1D' } });
  const worker = await startWorkers(1);
  const quick = await servers.http((_, response) => response.end('{}'));
  const steps = Array.from(
    { length: 10 },
    (_, index) => `{s${index}: {call: http, with: {method: get, endpoint: '${quick.origin}'}}}`,
  );
  const flows = [await start(worker, `do: [${steps.join(', ')}]`), await start(worker, `do: [${steps.join(', ')}]`)];
  for (const flow of flows) await progressWhen(flow, ({ status }) => status === 'AwaitingQuota');
  const [tenant] = await inStore(() => query('SELECT cpu_used_ms FROM beamline_tenants'));
  const [used] = await inStore(() => query('SELECT steps, cpu_ms FROM beamline_usage'));
  expect(Number(tenant?.cpu_used_ms)).toBeGreaterThanOrEqual(1);
  expect(tenant?.cpu_used_ms).toBe(used?.cpu_ms);
  expect(used?.steps).toBe(quick.requests.length);
  expect(quick.requests.length).toBeLessThan(20);
  allow({ cpuTime: { max: 'PT1H', window: 'P1D' } });
  for (const flow of flows) await flow.result();
  expect(quick.requests).toHaveLength(20);
}, 30_000);

test('CPU time: a default that a worker is given later counts what was used that day', async () => {
  allow({});
  const first = await startWorkers(1);
  const before = await start(first, `do: [${call()}]`);
  await gate.holds(1);
  gate.let();
  await before.result();
  for (const worker of workers.splice(0)) await worker.stop();
  const second = await startWorkers(1, { 'max-cpu-time-ms': '1' });
  await inStore(() => execute('UPDATE beamline_usage SET cpu_ms = cpu_ms + 1'));
  const after = await start(second, `do: [${call()}]`);
  await progressWhen(after, ({ status }) => status === 'AwaitingQuota');
  expect(gate.server.requests).toHaveLength(1);
  await after.terminate();
});

test.each(['io', 'cpu'])('blobs that have no room wait, on pool %s, until others are deleted', async (resources) => {
  allow({ blobBytes: 1_000 });
  const worker = await startWorkers(1);
  const put = (path: string, bytes: number) =>
    `{s: {call: fs.put, metadata: {resources: ${resources}}, with: {path: ${path}, content: '${'x'.repeat(bytes)}'}}}`;
  await (await start(worker, `do: [${put('a', 800)}]`)).result();
  const waiting = await start(worker, `do: [${put('b', 500)}]`);
  await progressWhen(waiting, ({ status }) => status === 'AwaitingQuota');
  // What is small enough goes before it.
  await (await start(worker, `do: [${put('c', 100)}]`)).result();
  await (
    await start(worker, `do: [{s: {call: fs.delete, metadata: {resources: ${resources}}, with: {path: a}}}]`)
  ).result();
  await waiting.result();
  expect(await attemptsOf(waiting)).toEqual([1, 1]);
  expect(await errorOf(await start(worker, `do: [${put('d', 1_001)}]`))).toMatchObject({ code: 'BLW_QUOTA_NEVER' });
  const [usage] = await inStore(() => query('SELECT steps, failures, blob_bytes FROM beamline_usage'));
  expect(usage).toEqual({ steps: 4, failures: 1, blob_bytes: 900 });
});
