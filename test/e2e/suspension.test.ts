import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { FlowProgress } from '../../src/dsl/progress';
import type { TemporalServer } from '../../temporal-dev/server';
import { LoopbackServers } from '../helpers/loopback';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** What happens in the very workflow task in which a flow would leave its history: a server that suggests it early. */
let server: TemporalServer;
let worker: TestWorker;
const loopback = new LoopbackServers();
beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  worker = await startTestWorker({}, server);
}, 30_000);
afterAll(async () => {
  await loopback.close();
  await worker.stop();
  await server.stop();
});

/** Makes workflow tasks, and with them a long history, without a step. */
async function fillHistory(handle: WorkflowHandle): Promise<void> {
  for (let n = 0; n < 6; n += 1) {
    const event = { specversion: '1.0', id: randomUUID(), source: '/test', type: 'filler' };
    await handle.executeUpdate('event', { args: [event] });
  }
}

const started: TestWorker[] = [];
afterEach(async () => {
  for (const other of started.splice(0)) await other.stop();
});

/** Lets things happen while nobody works, so that one workflow task has all of them. */
async function whileIdle(
  prepare: (idle: TestWorker) => Promise<string>,
  happens: (id: string) => Promise<void>,
): Promise<WorkflowHandle> {
  const queuePrefix = `test-${randomUUID()}`;
  const settings = { 'queue-prefix': queuePrefix };
  const before = await startTestWorker(settings, server);
  const workflowId = await prepare({ ...before, queuePrefix }).finally(() => before.stop());
  await happens(workflowId);
  started.push(await startTestWorker(settings, server));
  return worker.client.workflow.getHandle(workflowId);
}

const startOn = (client: TestWorker, flow: string) =>
  client.client.workflow.start('runFlow', {
    taskQueue: `${client.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [{ flow: flowOf(flow), input: null }],
  });

async function timerFired(workflowId: string): Promise<void> {
  const handle = worker.client.workflow.getHandle(workflowId);
  await eventually(async () => {
    const { events } = await handle.fetchHistory();
    return events?.some(({ timerFiredEventAttributes }) => timerFiredEventAttributes != null) || undefined;
  });
}

/** What was to be undone shows in the error, since it cannot be. */
const UNDOABLE =
  '{s: {set: {v: 1}, metadata: {compensate: [{no: {raise: {error: {type: "https://x.test/undo", status: 500}}}}]}}}';

test('a cancellation that comes as the flow leaves its history undoes the steps', async () => {
  const handle = await whileIdle(
    async (idle) => {
      const flow = await startOn(idle, `do: [${UNDOABLE}, {w: {wait: PT2S}}, {x: {set: {v: 2}}}]`);
      await progressWhen(flow, ({ steps }) => steps.some(({ name }) => name === 'w'));
      await fillHistory(flow);
      return flow.workflowId;
    },
    async (workflowId) => {
      await timerFired(workflowId);
      await worker.client.workflow.getHandle(workflowId).cancel();
    },
  );
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_COMPENSATION_FAILED' });
});

test('a cancellation that comes as a window leaves its history gives the flow what it has to undo', async () => {
  const loop = `{l: {for: {in: "[1, 2]"}, metadata: {batchSize: 1, concurrency: 1}, do: [${UNDOABLE}, {w: {wait: PT2S}}, {x: {set: {v: 2}}}]}}`;
  const handle = await whileIdle(
    async (idle) => {
      const flow = await startOn(idle, `do: [${loop}]`);
      const window = idle.client.workflow.getHandle(`${flow.workflowId}/l/items-0`);
      await eventually(async () => {
        const { steps } = await window.query<FlowProgress>('progress');
        return steps.some(({ name }) => name === 'w') || undefined;
      });
      await fillHistory(window);
      return flow.workflowId;
    },
    async (workflowId) => {
      await timerFired(`${workflowId}/l/items-0`);
      await worker.client.workflow.getHandle(`${workflowId}/l/items-0`).cancel();
    },
  );
  expect(await errorOf(handle)).toMatchObject({
    code: 'BLW_CANCELLED',
    compensation: { failed: [{ step: '/do/0/l/do/0/s' }] },
  });
});

test('a cancellation that comes as a chain of runs leaves its history ends the chain', async () => {
  const workflowId = `chain-${randomUUID()}`;
  const handle = await whileIdle(
    async (idle) => {
      const flow = flowOf('do: [{w: {wait: PT1H}}]');
      const request = {
        start: { flow },
        flow: 'test/flow:1.0.0',
        tenant: 'default',
        workflowId,
        afterMs: 1_000,
        deployed: {},
      };
      const taskQueue = `${idle.queuePrefix}-io`;
      for (let n = 0; n < 6; n += 1) {
        const chain = await idle.client.workflow.signalWithStart('repeatFlow', {
          workflowId,
          taskQueue,
          args: [],
          signal: 'configure',
          signalArgs: [request],
        });
        await eventually(async () => ((await chain.describe()).raw.pendingWorkflowTask == null ? true : undefined));
      }
      return workflowId;
    },
    async () => {
      const chain = worker.client.workflow.getHandle(workflowId);
      const child = await eventually(
        async () => (await chain.describe()).raw.pendingChildren?.[0]?.workflowId ?? undefined,
      );
      await worker.client.workflow.getHandle(child).terminate();
      await eventually(async () => ((await chain.describe()).raw.pendingChildren?.length === 0 ? true : undefined));
      await chain.cancel();
    },
  );
  await eventually(async () => ((await handle.describe()).status.name === 'CANCELLED' ? true : undefined));
});

test.each([
  ['a branch', (listen: string, call: string) => `{f: {fork: {branches: [{l: ${listen}}, {h: ${call}}]}}}`],
  [
    'an iteration',
    (listen: string, call: string) =>
      `{f: {for: {in: "[0, 1]"}, metadata: {concurrency: 2}, do: [{l: {if: item == 0, do: [{l: ${listen}}]}}, {h: ${call}}]}}`,
  ],
])('%s that stands still beside one that fails stops listening, and gives back its events', async (_, beside) => {
  let answer = (): void => undefined;
  const isAnswering = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { origin } = await loopback.http((_request, response) => {
    isAnswering.then(() => response.writeHead(400).end()).catch(() => undefined);
  });
  const listen = '{listen: {to: {one: {with: {type: wanted}}}}}';
  const handle = await worker.start(
    `do: [{t: {try: [${beside(listen, `{call: http, with: {method: get, endpoint: "${origin}"}}`)}], catch: {}}}, {n: ${listen}}, {z: {wait: PT1H}}]`,
  );
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  await fillHistory(handle);
  const wanted = { specversion: '1.0', id: 'w', source: '/test', type: 'wanted', data: 7 };
  await handle.executeUpdate('event', { args: [wanted] });
  answer();
  const { steps } = await progressWhen(handle, (progress) => progress.steps.some(({ name }) => name === 'z'));
  expect(steps.find(({ name }) => name === 'n')).toMatchObject({ status: 'completed' });
  expect(steps.filter(({ name }) => name === 'l').map(({ status }) => status)).not.toContain('listening');
  const bus = worker.client.workflow.getHandle(`${worker.queuePrefix}-events:default`);
  await eventually(async () => {
    const { subscriptions } = await bus.query<{ subscriptions: unknown[] }>('subscriptions');
    return subscriptions.length === 0 ? true : undefined;
  });
  await handle.terminate();
});
