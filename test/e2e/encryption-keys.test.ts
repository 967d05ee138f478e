import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import type { Json } from '../../src/dsl/json';
import { replayDataConverter } from '../../src/worker/data-converter';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { connectClient } from '../../src/worker/temporal-connection';
import type { TemporalServer } from '../../temporal-dev/server';
import { rawText, readable } from '../helpers/raw-history';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const MARK = 'PLAIN-9c2e';
const OLD = randomBytes(32).toString('base64');
const NEW = randomBytes(32).toString('base64');

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const fileOf = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const oldKeys = fileOf('old.yaml', `acme: [{ id: k1, key: "${OLD}" }]\n`);
const newKeys = fileOf('new.yaml', `acme: [{ id: k2, key: "${NEW}" }, { id: k1, key: "${OLD}" }]\n`);
const onlyNewKeys = fileOf('only-new.yaml', `acme: [{ id: k2, key: "${NEW}" }]\n`);
const anyKeys = fileOf('any.yaml', `"*": [{ id: m, key: "${OLD}" }]\n`);

/** Suggests a new history after a few events. */
let server: TemporalServer;
const workers: TestWorker[] = [];
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startTemporalOfShortHistories(30);
}, 30_000);
afterAll(async () => {
  for (const close of closing) await close();
  for (const worker of workers) await worker.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startWorker(queuePrefix: string, keys?: string, settings = {}): Promise<TestWorker> {
  const file = keys === undefined ? {} : { 'encryption-keys': keys };
  const worker = await startTestWorker({ 'queue-prefix': queuePrefix, ...file, ...settings }, server);
  workers.push(worker);
  return worker;
}

async function stopWorker(worker: TestWorker): Promise<void> {
  workers.splice(workers.indexOf(worker), 1);
  await worker.stop();
}

async function clientOf(keys: string, tenant = 'acme'): Promise<Client> {
  const { address, namespace } = server;
  const { client, close } = await connectClient({ address, namespace, keys: readKeyRing(keys, {}), tenant });
  closing.push(close);
  return client;
}

function start(client: Client, queuePrefix: string, text: string, input: Json = { say: MARK }, tenant = 'acme') {
  const workflowId = `flow-${randomUUID()}`;
  const args = [{ flow: flowOf(text), input, tenant }];
  return client.workflow.start('runFlow', { taskQueue: `${queuePrefix}-io`, workflowId, args });
}

const LISTEN_THEN = `do:
  - first: { set: { got: '\${ workflow.input.say }' } }
  - put: { call: fs.put, with: { path: x, content: '\${ workflow.input.say }' } }
  - hear: { listen: { to: { one: { with: { type: reply } } } } }
  - after: { set: { got: '\${ workflow.input.say }', heard: '\${ data }' } }`;
const REPLY = { specversion: '1.0', id: 'e', source: '/s', type: 'reply', data: MARK };

test.concurrent('a worker without the key leaves the flow as it is and says why, until one with the key comes', async () => {
  const queue = `test-${randomUUID()}`;
  const without = await startWorker(queue);
  const client = await clientOf(oldKeys);
  const handle = await start(client, queue, LISTEN_THEN);
  const reason = await eventually(async () => {
    const { events } = await handle.fetchHistory();
    return events?.find((event) => event.workflowTaskFailedEventAttributes != null)?.workflowTaskFailedEventAttributes
      ?.failure?.message;
  });
  expect(reason).toContain('is encrypted with the key "k1", which is not here; give it with --encryption-keys FILE');
  await stopWorker(without);
  await startWorker(queue, oldKeys);
  await handle.signal('event', REPLY);
  expect(await handle.result()).toEqual({ got: MARK, heard: [MARK] });
}, 60_000);

test.concurrent('a key is replaced while flows run: the first encrypts, all decrypt', async () => {
  const queue = `test-${randomUUID()}`;
  const before = await startWorker(queue, oldKeys);
  const client = await clientOf(oldKeys);
  const handle = await start(client, queue, LISTEN_THEN);
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  await stopWorker(before);
  await startWorker(queue, newKeys);
  await handle.signal('event', REPLY);
  const reader = await clientOf(newKeys);
  expect(await reader.workflow.getHandle(handle.workflowId).result()).toEqual({ got: MARK, heard: [MARK] });
  const { events } = await handle.fetchHistory();
  const keyIds = [...readableKeys(events)];
  expect(keyIds[0]).toBe('k1');
  expect(keyIds.at(-1)).toBe('k2');
  await expect(handle.result()).rejects.toThrow(/encrypted with the key "k2", which is not here/);
  const late = await clientOf(onlyNewKeys);
  await expect(late.workflow.getHandle(handle.workflowId).query('progress')).resolves.toMatchObject({
    status: 'Completed',
  });
}, 60_000);

function* readableKeys(events: unknown): Generator<string> {
  for (const [, id] of JSON.stringify(events).matchAll(/"encryption-key-id":"([^"]+)"/g)) {
    yield Buffer.from(id ?? '', 'base64').toString();
  }
}

test.concurrent('with a key for every tenant all are encrypted, each with a key of its own', async () => {
  const queue = `test-${randomUUID()}`;
  await startWorker(queue, anyKeys);
  for (const tenant of ['one', 'default']) {
    const client = await clientOf(anyKeys, tenant);
    const handle = await start(
      client,
      queue,
      'do: [{ s: { raise: { error: { type: t, status: 400, detail: no } } } }]',
      { say: MARK },
      tenant,
    );
    await errorOf(handle);
    const text = await rawText(client, handle.workflowId);
    expect(text).toContain('binary/encrypted');
    expect(text).not.toContain(MARK);
  }
});

test.concurrent('flows that are rebuilt from history, and continued as new, go on', async () => {
  const queue = `test-${randomUUID()}`;
  const before = await startWorker(queue, oldKeys);
  const client = await clientOf(oldKeys);
  const text = `do:
  - loop: { for: { each: n, in: '\${ data.numbers }' }, do: [{ put: { call: fs.put, with: { path: a, content: '\${ n + workflow.input.say }' } } }] }
  - hear: { listen: { to: { one: { with: { type: reply } } } } }
  - after: { set: { got: '\${ workflow.input.say }', heard: '\${ data }' } }`;
  const input = { say: MARK, numbers: Array.from({ length: 25 }, (_, index) => `${MARK}-${index}`) };
  const handles: Awaited<ReturnType<typeof start>>[] = [];
  for (let count = 0; count < 3; count += 1) handles.push(await start(client, queue, text, input));
  for (const handle of handles) {
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'), 30_000);
  }
  // The next worker has nothing of them in memory.
  await stopWorker(before);
  const worker = await startWorker(queue, oldKeys);
  for (const handle of handles) await handle.signal('event', REPLY);
  for (const handle of handles) {
    expect(await client.workflow.getHandle(handle.workflowId).result()).toEqual({ got: MARK, heard: [MARK] });
    const { runId } = await handle.describe();
    expect(runId).not.toBe(handle.firstExecutionRunId);
    for (const run of [handle.firstExecutionRunId, runId]) {
      expect(await rawText(worker.client, handle.workflowId, run)).not.toContain(MARK);
    }
  }
  // And whoever has the key can replay them.
  const [handle] = handles;
  const history = await (handle as NonNullable<typeof handle>).fetchHistory();
  const dataConverter = replayDataConverter({ keys: readKeyRing(oldKeys, {}), namespace: server.namespace });
  const options = { workflowBundle: { codePath: WORKFLOW_BUNDLE }, dataConverter };
  await Worker.runReplayHistory(options, history, handle?.workflowId);
  const keyless = { ...options, dataConverter: replayDataConverter({ namespace: server.namespace }) };
  await expect(Worker.runReplayHistory(keyless, history, handle?.workflowId)).rejects.toThrow(/which is not here/);
}, 90_000);

test.concurrent('a flow that began before there were keys goes on, encrypted from then on', async () => {
  const queue = `test-${randomUUID()}`;
  const before = await startWorker(queue);
  const handle = await before.client.workflow.start('runFlow', {
    taskQueue: `${queue}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [{ flow: flowOf(LISTEN_THEN), input: { say: MARK }, tenant: 'acme' }],
  });
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  const count = (await handle.fetchHistory()).events?.length ?? 0;
  await stopWorker(before);
  await startWorker(queue, oldKeys);
  const client = await clientOf(oldKeys);
  const found = client.workflow.getHandle(handle.workflowId);
  await found.signal('event', REPLY);
  expect(await found.result()).toEqual({ got: MARK, heard: [MARK] });
  const { events = [] } = await found.fetchHistory();
  expect(readable(events?.slice(0, count))).toContain(MARK);
  expect(readable(events?.slice(count))).not.toContain(MARK);
});
