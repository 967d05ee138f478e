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

/** What a test has for itself: the tests run at once, since some of them wait for what a worker does every ten seconds. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  readonly #servers = new LoopbackServers();
  readonly gate = new Gate();
  #worker: TestWorker | undefined;

  get worker(): TestWorker {
    if (this.#worker === undefined) throw new Error('there is no worker yet');
    return this.#worker;
  }

  async open(): Promise<this> {
    const policy = join(this.folder, 'policy.json');
    const scopes = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];
    const acme = { scopes, privateHosts: ['127.0.0.1'], quotas: { flows: 1 } };
    writeFileSync(policy, JSON.stringify({ version: 1, tenants: { acme } }));
    const catalog = join(this.folder, 'catalog');
    mkdirSync(catalog);
    await this.gate.open(this.#servers);
    const inner = { ...flowOf(`do: [${this.call()}]`), document: { ...document, name: 'inner' } };
    writeFileSync(join(catalog, 'inner.yaml'), JSON.stringify(inner));
    this.#worker = await startTestWorker({
      policy,
      catalog,
      'state-store': `sqlite:${join(this.folder, 'state.sqlite')}`,
    });
    return this;
  }

  async close(): Promise<void> {
    this.gate.let();
    await this.#worker?.stop();
    await this.#servers.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  readonly call = () => `{s: {call: http, with: {method: get, endpoint: '${this.gate.url}'}}}`;

  readonly start = (steps = this.call(), header = '') =>
    this.worker.start(`${header}do: [${steps}]`, null, { tenant: 'acme' });

  readonly inStore = async <T>(rule: () => Rule<T>): Promise<T> => {
    const store = openSqliteStore(join(this.folder, 'state.sqlite'));
    try {
      return await store.run(rule);
    } finally {
      await store.close();
    }
  };

  readonly rowsOf = (table: 'leases' | 'tickets'): Promise<readonly StateRow[]> =>
    this.inStore(() => query(`SELECT * FROM beamline_${table} WHERE kind = 'flow'`));

  /** Resets a flow as `temporal workflow reset` does: to the end of one of its workflow tasks, the first being 0. */
  readonly reset = async (handle: WorkflowHandle, task: number): Promise<WorkflowHandle> => {
    const { namespace } = testTemporal();
    const { workflowId } = handle;
    const { runId } = await handle.describe();
    const { events = [] } = await handle.fetchHistory();
    const ends = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes != null);
    const workflowTaskFinishEventId = ends[task]?.eventId;
    if (workflowTaskFinishEventId == null) throw new Error(`the flow has no workflow task ${task}`);
    await this.worker.client.workflowService.resetWorkflowExecution({
      namespace,
      workflowExecution: { workflowId, runId },
      workflowTaskFinishEventId,
      requestId: randomUUID(),
      reason: 'test',
    });
    return this.worker.client.workflow.getHandle(workflowId);
  };

  /** As if the minute had passed after which a worker looks, and once it has looked. */
  readonly probe = async (): Promise<void> => {
    await this.inStore(() => execute("UPDATE beamline_leases SET checked_at = 0 WHERE kind = 'flow'"));
    await eventually(
      async () => ((await this.rowsOf('leases')).every(({ checked_at: at }) => at !== 0) ? true : undefined),
      30_000,
    );
  };
}

/** A test in a world of its own, which ends with it. */
function inWorld<Row extends readonly unknown[]>(
  work: (world: World, ...row: Row) => Promise<void>,
): (...row: Row) => Promise<void> {
  return async (...row) => {
    const world = new World();
    try {
      await work(await world.open(), ...row);
    } finally {
      await world.close();
    }
  };
}

const { document } = flowOf('do: []') as { document: JsonObject };
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

async function activitiesOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.activityTaskScheduledEventAttributes != null).length;
}

test.concurrent(
  'a flow too many waits before its first step, and begins when another has ended',
  inWorld(async ({ gate, rowsOf, start }) => {
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
  }),
);

test.concurrent.each<[string, (handle: WorkflowHandle, gate: Gate) => Promise<unknown>]>([
  ['is cancelled', (handle) => handle.cancel()],
  ['fails', async (_, gate) => gate.let()],
])(
  'a flow that %s gives its place back',
  inWorld(async ({ call, gate, start }, _, end) => {
    const first = await start(`${call()}, {r: {raise: {error: {type: 'https://x.test/e', status: 500}}}}`);
    await gate.holds(1);
    const second = await start();
    await progressWhen(second, isWaiting);
    await end(first, gate);
    await expect(first.result()).rejects.toThrow();
    await gate.saw(2);
    gate.let();
    await second.result();
  }),
);

// Not beside others: its second call has to come within the second that the flow has.
test(
  'a flow that is cancelled while it waits leaves the line; the time that a flow has begins with its place',
  inWorld(async ({ call, gate, rowsOf, start }) => {
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
  }),
);

test.concurrent(
  'a flow that is ended by force is noticed, and the next begins',
  inWorld(async ({ gate, inStore, start }) => {
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
  }),
  45_000,
);

test.concurrent(
  'flows that flows run and wait for do not count',
  inWorld(async ({ call, gate, rowsOf, start, worker }) => {
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
  }),
);

test.concurrent(
  'a flow that runs by itself counts, whoever began it',
  inWorld(async ({ gate, rowsOf, start }) => {
    const handle = await start(
      `{r: {run: {await: false, workflow: {namespace: test, name: inner, version: '1.0.0'}}}}`,
    );
    await handle.result();
    await gate.holds(1);
    expect(await rowsOf('leases')).toMatchObject([{ flow_id: `${handle.workflowId}/r` }]);
    const next = await start();
    await progressWhen(next, isWaiting);
    gate.let();
    await gate.saw(2);
    gate.let();
    await next.result();
  }),
);

test.concurrent.each([
  ['before it had its place', 0],
  ['after', 1],
])(
  'a flow that is reset to a point %s has one place, and gives it back at its end',
  inWorld(async ({ call, gate, probe, reset, rowsOf, start }, _, task) => {
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
  }),
  60_000,
);

test.concurrent(
  'a flow that had ended and is reset counts again, and so do those that came after it',
  inWorld(async ({ call, gate, probe, reset, rowsOf, start }) => {
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
  }),
  60_000,
);

test.concurrent(
  'another flow of the same id is not taken for one that was ended by force',
  inWorld(async ({ call, gate, inStore, start, worker }) => {
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
  }),
  45_000,
);

test.concurrent(
  'a foreign workflow that goes on as a flow has a place of its own, and gives back no other',
  inWorld(async ({ gate, rowsOf, start, worker }) => {
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
  }),
);
