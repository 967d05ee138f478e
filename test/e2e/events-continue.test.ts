import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Json } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A server that suggests a new history after a few events, to flows and to the event bus alike. */
let server: TemporalServer;
let worker: TestWorker;
beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  worker = await startTestWorker({ pools: 'io' }, server);
}, 30_000);
afterAll(async () => {
  await worker.stop();
  await server.stop();
});

const event = (type: string, data: Json): Json => ({
  specversion: '1.0',
  id: randomUUID(),
  source: '/test',
  type,
  data,
});

const emit = async (value: Json): Promise<void> => {
  await worker.client.workflow.getHandle(`${worker.queuePrefix}-events:default`).signal('emit', value);
};

async function listening(flow: string, count: number): Promise<{ flow: WorkflowHandle; runId: string }> {
  const handle = await worker.start(flow);
  await progressWhen(handle, ({ steps }) => steps.filter(({ status }) => status === 'listening').length === count);
  return { flow: handle, runId: (await handle.describe()).runId };
}

const COUNT = 60;
const numbers = Array.from({ length: COUNT }, (_, index) => index);

test('listeners side by side go on over several histories, and miss nothing', async () => {
  const foreach =
    'foreach: {do: [{step: {call: fs.stat, with: {path: x, ifMissing: ignore}}}, {n: {set: "${ {\'n\': item} }"}}], output: {as: data.n}}';
  const all = `{listen: {to: {any: [{with: {type: tick}}], until: {one: {with: {type: stop}}}}}, ${foreach}}`;
  const counted = `{listen: {to: {any: [{with: {type: tick}}], until: "data.size() == ${COUNT}"}}}`;
  const { flow, runId } = await listening(`do: [{f: {fork: {branches: [{a: ${all}}, {b: ${counted}}]}}}]`, 2);
  for (const n of numbers) await emit(event('tick', n));
  await progressWhen(flow, ({ steps }) => steps.some(({ name, status }) => name === 'b' && status === 'completed'));
  await emit(event('stop', null));
  const [first, second] = (await flow.result()) as number[][];
  expect([...(first ?? [])].sort((a, b) => a - b)).toEqual(numbers);
  expect([...(second ?? [])].sort((a, b) => a - b)).toEqual(numbers);
  expect((await flow.describe()).runId).not.toBe(runId);
});

test('events that were sent to the flow itself and kept go along to its next histories', async () => {
  const flow =
    'do: [{go: {listen: {to: {any: [{with: {type: go}}], until: "data.size() == 30"}}}}, {get: {listen: {to: {one: {with: {type: early}}}}}}]';
  const { flow: handle, runId } = await listening(flow, 1);
  await handle.signal('event', event('early', 'kept'));
  for (let n = 0; n < 30; n += 1) await handle.executeUpdate('event', { args: [event('go', n)] });
  expect(await handle.result()).toEqual(['kept']);
  expect((await handle.describe()).runId).not.toBe(runId);
});

test('a listen in an iteration of a loop in windows hears the event bus', async () => {
  const flow =
    'do: [{l: {for: {in: "[1, 2, 3]"}, metadata: {batchSize: 1, concurrency: 3}, do: [{h: {listen: {to: {one: {with: {type: n, data: "${ data == item }"}}}}}}]}}]';
  const handle = await worker.start(flow);
  const bus = worker.client.workflow.getHandle(`${worker.queuePrefix}-events:default`);
  await eventually(async () => {
    const { subscriptions } = await bus.query<{ subscriptions: unknown[] }>('subscriptions');
    return subscriptions.length === 3 ? true : undefined;
  });
  for (const n of [3, 1, 2]) await emit(event('n', n));
  expect(await handle.result()).toEqual([[1], [2], [3]]);
});

test.each([
  ['fails', '{bad: {call: fs.stat, with: {path: y}}}'],
  ['is cancelled', '{w: {wait: PT1H}}'],
])('a flow that listened on from an earlier history ends where it %s', async (_, end) => {
  const loop = `{l: {for: {in: '${JSON.stringify(numbers)}'}, do: [{s: {call: fs.stat, with: {path: x, ifMissing: ignore}, metadata: {dispatch: queue}}}]}}`;
  const flow = `do: [{f: {fork: {branches: [{h: {listen: {to: {one: {with: {type: never}}}}}}, {b: {do: [${loop}, ${end}]}}]}}}]`;
  const handle = await worker.start(flow);
  const { runId } = await handle.describe();
  if (end.includes('wait')) {
    await progressWhen(handle, ({ steps }) => steps.some(({ name }) => name === 'w'));
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  } else expect(await errorOf(handle)).toMatchObject({ code: 'BLW_FS_NOT_FOUND' });
  expect((await worker.client.workflow.getHandle(handle.workflowId).describe()).runId).not.toBe(runId);
});
