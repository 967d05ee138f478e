import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NativeConnection } from '@temporalio/worker';
import { FlowSurvey } from '../../src/worker/telemetry/flow-survey';
import { oldestStart } from '../../src/worker/telemetry/oldest-start';
import { allQueues, QueueSurvey } from '../../src/worker/telemetry/queue-survey';
import { connectWorker } from '../../src/worker/temporal-connection';
import { scrape } from '../helpers/metrics-text';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SCOPES = ['flow:start', 'block:*', 'resources:*', 'blob:read:*', 'blob:write:*', 'approval:*'];
const POLICY = {
  version: 1,
  tenants: {
    acme: { scopes: SCOPES, quotas: { concurrentSteps: 4 } },
    globex: { scopes: SCOPES },
    full: { scopes: SCOPES, quotas: { flows: 1 } },
  },
};

const APPROVAL = 'do: [{ask: {call: human.approval, with: {title: Well?}}}]';
const PARKED = 'do: [{a: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: none}}}]';
const PUT = 'do: [{a: {call: fs.put, with: {path: a, content: hello}}}]';

let folder: string;
let worker: TestWorker;
let connection: NativeConnection;
let namespace: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(POLICY));
  worker = await startTestWorker({
    policy: join(folder, 'policy.json'),
    pools: 'io,cpu',
    'prometheus-endpoint': '127.0.0.1:0',
  });
  ({ connection, namespace } = await connectWorker(testTemporal()));
}, 60_000);

afterAll(async () => {
  await connection.close();
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

const taskQueue = () => `${worker.queuePrefix}-io`;
const survey = () => new FlowSurvey({ connection, namespace, taskQueue: taskQueue() });

test('flows by status, approvals, dead letters and usage of tenants are those of the whole installation', async () => {
  const begunAt = Date.now();
  for (const tenant of ['acme', 'acme', 'globex']) await worker.run(PUT, null, { tenant });
  await worker.fail('do: [{a: {call: fs.get, with: {path: none}}}]', null, { tenant: 'globex' });
  const open = [
    await worker.start(APPROVAL, null, { tenant: 'acme' }),
    await worker.start(PARKED, null, { tenant: 'acme' }),
    await worker.start('do: [{w: {wait: PT1H}}]', null, { tenant: 'full' }),
  ];
  const listed = await eventually(async () => {
    const figures = await survey().read();
    const isThere = figures.approvals === 1 && figures.deadLetters === 1 && figures.closed.get('Failed') === 1;
    return isThere && figures.open.get('Running') === 1 ? figures : undefined;
  });
  expect(Object.fromEntries(listed.open)).toEqual({
    Running: 1,
    AwaitingApproval: 1,
    AwaitingQuota: 0,
    Compensating: 0,
    DeadLettered: 1,
  });
  expect(Object.fromEntries(listed.closed)).toEqual({
    Completed: 3,
    Failed: 1,
    Canceled: 0,
    Terminated: 0,
    TimedOut: 0,
  });
  const ageLimit = (Date.now() - begunAt) / 1_000;
  for (const age of [listed.oldestApproval, listed.oldestDeadLetter]) {
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThanOrEqual(ageLimit);
  }

  // Read for the first time, since what is read is kept for a while.
  const page = await scrape(worker.worker.metricsUrl ?? '');
  expect(page.value('beamline_flows', { status: 'DeadLettered' })).toBe(1);
  expect(page.value('beamline_flows_closed', { status: 'Completed' })).toBe(3);
  expect([page.value('beamline_approvals_waiting'), page.value('beamline_dead_letters_waiting')]).toEqual([1, 1]);
  expect(page.value('beamline_approval_oldest_seconds')).toBeGreaterThan(0);
  expect(page.value('beamline_dead_letter_oldest_seconds')).toBeGreaterThan(0);
  const of = (name: string, tenant: string) => page.value(`beamline_tenant_${name}`, { tenant });
  expect([of('steps_total', 'acme'), of('steps_total', 'globex'), of('steps_total', 'full')]).toEqual([2, 1, 0]);
  expect([of('failures_total', 'globex'), of('approvals_total', 'acme')]).toEqual([1, 1]);
  expect(page.value('beamline_tenant_bytes_total', { tenant: 'globex', direction: 'out' })).toBe('hello'.length);
  expect(of('blob_bytes', 'acme')).toBe('hello'.length);
  expect(page.value('beamline_tenant_over_quota', { tenant: 'full', quota: 'flows' })).toBe(1);
  expect(page.value('beamline_tenant_over_quota', { tenant: 'acme', quota: 'concurrentSteps' })).toBe(0);
  expect(page.has('beamline_tenant_steps_running', { tenant: 'globex' })).toBe(false);
  expect(page.series('worker_degraded').sort()).toEqual(
    ['blob_store', 'log', 'metrics', 'policy', 'state_store', 'temporal'].map((part) => [
      `worker_degraded{part="${part}"}`,
      0,
    ]),
  );
  for (const handle of open) await handle.terminate();
});

test('tasks of a pool that no worker has ever served are seen, with how many ask for them', async () => {
  const handle = await worker.start('do: [{a: {call: fs.get, metadata: {resources: gpu}, with: {path: none}}}]', null, {
    tenant: 'acme',
  });
  const queues = () => new QueueSurvey({ connection, namespace, pools: allQueues(worker.queuePrefix) }).read();
  const pools = await eventually(async () => {
    const { pools: told, failure } = await queues();
    return failure === undefined && told.get('gpu')?.depth === 1 ? told : undefined;
  });
  expect([pools.get('gpu')?.pollers, pools.get('io')?.pollers.length]).toEqual([[], 1]);
  await handle.terminate();
});

test('the oldest of many is found without reading all of them', async () => {
  const queue = `old-${randomUUID()}`;
  const first = Date.now();
  const start = (id: number) =>
    worker.client.workflow.start('nobody', { taskQueue: queue, workflowId: `${queue}-${id}` });
  const oldest = (await (await start(0)).describe()).startTime.getTime();
  for (let id = 1; id < 130; id += 26) await Promise.all(Array.from({ length: 26 }, (_, index) => start(id + index)));
  const query = `TaskQueue = '${queue}' AND ExecutionStatus = 'Running'`;
  await eventually(async () => {
    const { count } = await worker.client.workflow.count(query);
    return count === 131 ? true : undefined;
  });
  expect(oldest).toBeGreaterThanOrEqual(first - 1_000);
  expect(await oldestStart({ connection, namespace }, query)).toBe(oldest);
  await worker.client.workflowService.startBatchOperation({
    namespace,
    jobId: randomUUID(),
    visibilityQuery: query,
    reason: 'the test is over',
    terminationOperation: {},
  });
});
