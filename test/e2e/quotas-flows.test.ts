import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { execute, query, type Rule, type StateRow } from '../../src/worker/state/rule';
import { openSqliteStore } from '../../src/worker/state/sqlite-store';
import { startForeignWorker } from '../helpers/foreign-worker';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const servers = new LoopbackServers();
let folder: string;
let worker: TestWorker;
let gate: Gate;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  const policy = join(folder, 'policy.json');
  const scopes = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];
  const acme = { scopes, privateHosts: ['127.0.0.1'], quotas: { flows: 1 } };
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: { acme } }));
  const catalog = join(folder, 'catalog');
  mkdirSync(catalog);
  gate = await new Gate().open(servers);
  const inner = { ...flowOf(`do: [${call()}]`), document: { ...document, name: 'inner' } };
  writeFileSync(join(catalog, 'inner.yaml'), JSON.stringify(inner));
  worker = await startTestWorker({ policy, catalog, 'state-store': `sqlite:${join(folder, 'state.sqlite')}` });
});
afterEach(async () => {
  gate.let();
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => servers.close());

const { document } = flowOf('do: []') as { document: JsonObject };
const call = () => `{s: {call: http, with: {method: get, endpoint: '${gate.url}'}}}`;
const start = (steps = call(), header = '') => worker.start(`${header}do: [${steps}]`, null, { tenant: 'acme' });
/** What a flow brings along when it continues as new: here, made up. */
const carriedOf = (place: string, plan: JsonObject): JsonObject => ({
  prepared: { tenant: 'acme', place, plan: { ...plan, tasks: [] } },
  workflowInput: null,
  startedAt: 0,
  input: null,
  context: null,
  list: { index: 0, output: null, visits: {}, steps: {} },
  progress: { steps: [], seq: 0, stepsEnded: 0, version: 0 },
});
const isWaiting = ({ status }: FlowProgress) => status === 'AwaitingQuota';

async function inStore<T>(rule: () => Rule<T>): Promise<T> {
  const store = openSqliteStore(join(folder, 'state.sqlite'));
  try {
    return await store.run(rule);
  } finally {
    await store.close();
  }
}

const rowsOf = (table: 'leases' | 'tickets'): Promise<readonly StateRow[]> =>
  inStore(() => query(`SELECT * FROM beamline_${table} WHERE kind = 'flow'`));

async function activitiesOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes != null).length;
}

test('a flow too many waits before its first step, and begins when another has ended', async () => {
  const first = await start();
  await gate.holds(1);
  const second = await start();
  await progressWhen(second, isWaiting);
  const third = await start();
  await progressWhen(third, isWaiting);
  expect(await activitiesOf(second)).toBe(0);
  for (const handle of [first, second, third]) {
    await gate.holds(1);
    gate.let();
    await handle.result();
  }
  expect(gate.most).toBe(1);
  expect([await rowsOf('leases'), await rowsOf('tickets')]).toEqual([[], []]);
});

test.each<[string, (handle: WorkflowHandle) => Promise<unknown>]>([
  ['is cancelled', (handle) => handle.cancel()],
  ['fails', async () => gate.let()],
])('a flow that %s gives its place back', async (_, end) => {
  const first = await start(`${call()}, {r: {raise: {error: {type: 'https://x.test/e', status: 500}}}}`);
  await gate.holds(1);
  const second = await start();
  await progressWhen(second, isWaiting);
  await end(first);
  await expect(first.result()).rejects.toThrow();
  await gate.saw(2);
  gate.let();
  await second.result();
});

test('a flow that is cancelled while it waits leaves the line; the time that a flow has begins with its place', async () => {
  const first = await start();
  await gate.holds(1);
  const second = await start();
  await progressWhen(second, isWaiting);
  await second.cancel();
  await expect(second.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await rowsOf('tickets')).toEqual([]);
  const third = await start(call(), 'timeout: {after: PT1S}\n');
  await progressWhen(third, isWaiting);
  const since = Date.now();
  await eventually(async () => (Date.now() - since > 1_200 ? true : undefined));
  expect(isWaiting(await third.query<FlowProgress>('progress'))).toBe(true);
  gate.let();
  await first.result();
  await gate.saw(2, 10_000);
  expect(await errorOf(third)).toMatchObject({ code: 'BLW_STEP_TIMEOUT' });
  gate.let();
});

test('a flow that is ended by force is noticed, and the next begins', async () => {
  const first = await start();
  await gate.holds(1);
  const second = await start();
  await progressWhen(second, isWaiting);
  await first.terminate();
  // As if the minute had passed after which a worker looks.
  await inStore(() => execute('UPDATE beamline_leases SET checked_at = 0'));
  await gate.saw(2, 30_000);
  gate.let();
  await second.result();
}, 45_000);

test('flows that flows run and wait for do not count', async () => {
  const handle = await start(`{r: {run: {workflow: {namespace: test, name: inner, version: '1.0.0'}}}}`);
  await gate.holds(1);
  expect(await rowsOf('leases')).toHaveLength(1);
  gate.let();
  await handle.result();
  // A depth that somebody sets by hand makes none of a flow that nobody runs.
  const forged = await worker.client.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [{ flow: flowOf(`do: [${call()}]`), input: null, tenant: 'acme', depth: 1, awaited: true }],
  });
  await gate.holds(1);
  await eventually(async () => ((await rowsOf('leases')).length === 1 ? true : undefined));
  gate.let();
  await forged.result();
});

test('a flow that runs by itself counts, whoever began it', async () => {
  const handle = await start(`{r: {run: {await: false, workflow: {namespace: test, name: inner, version: '1.0.0'}}}}`);
  await handle.result();
  await gate.holds(1);
  expect(await rowsOf('leases')).toMatchObject([{ flow_id: `${handle.workflowId}/r` }]);
  const next = await start();
  await progressWhen(next, isWaiting);
  gate.let();
  await gate.saw(2);
  gate.let();
  await next.result();
});

/** Resets a flow as `temporal workflow reset` does: to the end of one of its workflow tasks, the first being 0. */
async function reset(handle: WorkflowHandle, task: number): Promise<WorkflowHandle> {
  const { namespace } = testTemporal();
  const { workflowId } = handle;
  const { runId } = await handle.describe();
  const { events = [] } = await handle.fetchHistory();
  const ends = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes != null);
  const workflowTaskFinishEventId = ends[task]?.eventId;
  if (workflowTaskFinishEventId == null) throw new Error(`the flow has no workflow task ${task}`);
  await worker.client.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId, runId },
    workflowTaskFinishEventId,
    requestId: randomUUID(),
    reason: 'test',
  });
  return worker.client.workflow.getHandle(workflowId);
}

/** As if the minute had passed after which a worker looks, and once it has looked. */
async function probe(): Promise<void> {
  await inStore(() => execute("UPDATE beamline_leases SET checked_at = 0 WHERE kind = 'flow'"));
  await eventually(
    async () => ((await rowsOf('leases')).every(({ checked_at: at }) => at !== 0) ? true : undefined),
    30_000,
  );
}

test.each([
  ['before it had its place', 0],
  ['after', 1],
])(
  'a flow that is reset to a point %s has one place, and gives it back at its end',
  async (_, task) => {
    const first = await start(`{w: {wait: {milliseconds: 50}}}, ${call()}`);
    await gate.holds(1);
    const second = await start();
    await progressWhen(second, isWaiting);
    const again = await reset(first, task);
    await gate.saw(2);
    await probe();
    expect(await rowsOf('leases')).toMatchObject([{ flow_id: first.workflowId }]);
    expect(isWaiting(await second.query<FlowProgress>('progress'))).toBe(true);
    gate.let();
    await again.result();
    await gate.saw(3);
    expect(await rowsOf('leases')).toMatchObject([{ flow_id: second.workflowId }]);
    gate.let();
    await second.result();
    expect(await rowsOf('leases')).toEqual([]);
  },
  60_000,
);

test('a flow that had ended and is reset counts again, and so do those that came after it', async () => {
  const first = await start(`{w: {wait: {milliseconds: 50}}}, ${call()}`);
  await gate.holds(1);
  gate.let();
  await first.result();
  const second = await start();
  await gate.holds(1);
  const again = await reset(first, 1);
  await gate.holds(2);
  await eventually(async () => ((await rowsOf('leases')).length === 2 ? true : undefined));
  const third = await start();
  await progressWhen(third, isWaiting);
  await probe();
  expect((await rowsOf('leases')).map(({ flow_id: id }) => id).sort()).toEqual(
    [first.workflowId, second.workflowId].sort(),
  );
  gate.let();
  await Promise.all([again.result(), second.result()]);
  await gate.holds(1);
  expect(await rowsOf('leases')).toMatchObject([{ flow_id: third.workflowId }]);
  gate.let();
  await third.result();
  expect(await rowsOf('leases')).toEqual([]);
}, 60_000);

test('another flow of the same id is not taken for one that was ended by force', async () => {
  const first = await start();
  await gate.holds(1);
  await first.terminate();
  const next = await worker.client.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: first.workflowId,
    args: [{ flow: flowOf(`do: [${call()}]`), tenant: 'acme' }],
  });
  await progressWhen(next, isWaiting);
  await inStore(() => execute('UPDATE beamline_leases SET checked_at = 0'));
  await gate.saw(2, 30_000);
  gate.let();
  await next.result();
}, 45_000);

test('a foreign workflow that goes on as a flow has a place of its own, and gives back no other', async () => {
  const first = await start();
  await gate.holds(1);
  const second = await start();
  await progressWhen(second, isWaiting);
  const { events } = await second.fetchHistory();
  const marker = events?.find((event) => event.markerRecordedEventAttributes != null)?.markerRecordedEventAttributes;
  const { plan } = JSON.parse(String(marker?.details?.result?.payloads?.[0]?.data)) as { plan: JsonObject };
  const [lease] = await rowsOf('leases');
  const taskQueue = `foreign-${randomUUID()}`;
  const stop = await startForeignWorker(testTemporal().address, taskQueue);
  try {
    const args = ['runFlow', [{}, carriedOf(String(lease?.id), plan)], `${worker.queuePrefix}-io`];
    const foreign = await worker.client.workflow.start('continueForeign', {
      taskQueue,
      workflowId: randomUUID(),
      args,
    });
    await foreign.result();
  } finally {
    await stop();
  }
  expect(await rowsOf('leases')).toMatchObject([{ id: lease?.id, flow_id: first.workflowId }]);
  expect(isWaiting(await second.query<FlowProgress>('progress'))).toBe(true);
  gate.let();
  await first.result();
  await gate.saw(2);
  gate.let();
  await second.result();
});
