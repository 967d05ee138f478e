import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { KeyRing } from '../../src/activities/payloads/key-ring';
import type { Json } from '../../src/dsl/json';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { NamespaceClients } from '../../src/worker/namespace-clients';
import { createFlowProbe } from '../../src/worker/quota/flow-probe';
import { connectClient } from '../../src/worker/temporal-connection';
import { runInProcess } from '../helpers/cli-in-process';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { familyOf, rawQuery, rawText, readable } from '../helpers/raw-history';
import { testTemporal } from '../helpers/temporal';
import {
  errorOf,
  eventually,
  flowOf,
  openApproval,
  progressWhen,
  startTestWorker,
  type TestWorker,
} from '../helpers/test-worker';

/** Stands in all that the flows are given, say and fail with. */
const MARK = 'PLAIN-7f3a';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const keyFile = join(folder, 'keys.yaml');
const key = () => randomBytes(32).toString('base64');
const keys = { acme: key(), other: key(), any: key() };
const servers = new LoopbackServers();
let echo: LoopbackServer;
let worker: TestWorker;
/** Clients of tenants, each with all keys. */
const clients = new Map<string, Client>();
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  writeFileSync(keyFile, `acme: [{id: a1, key: "${keys.acme}"}]\nother: [{id: o1, key: "${keys.other}"}]\n`);
  echo = await servers.http((request, response) => {
    response.writeHead(request.url?.startsWith('/fail') ? 422 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ url: request.url, body: echo.requests.at(-1)?.body }));
  });
  worker = await startTestWorker({ 'encryption-keys': keyFile });
  for (const tenant of ['acme', 'other', 'open']) {
    const target = {
      ...testTemporal(),
      keys: readKeyRing(keyFile, {}),
      tenant,
      blobRoot: join(worker.folder, 'blobs'),
    };
    const { client, close } = await connectClient(target);
    clients.set(tenant, client);
    closing.push(close);
  }
});
afterAll(async () => {
  for (const close of closing) await close();
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const clientOf = (tenant: string): Client => clients.get(tenant) as Client;

function start(tenant: string, text: string, input: Json = null, workflowId = `flow-${randomUUID()}`) {
  return clientOf(tenant).workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId,
    args: [{ flow: flowOf(text), input, tenant }],
    staticSummary: `summary ${MARK}`,
  });
}

/** Fails where anything that Temporal has of the flow or its children is readable. */
async function expectEncrypted(handle: WorkflowHandle): Promise<void> {
  for (const id of await familyOf(worker.client, handle.workflowId)) {
    const text = await rawText(worker.client, id);
    // What is looked at is the history, payloads included.
    expect(text).toContain('binary/encrypted');
    expect(text).not.toContain('json/plain\n{"flow"');
    expect(text).not.toContain(MARK);
  }
}

const POST = (path: string, body: string) =>
  `{ call: http, with: { method: post, endpoint: '${echo.origin}${path}', body: ${body} } }`;

test('input, arguments, results, expressions and output are encrypted, and read by who has the key', async () => {
  const handle = await start(
    'acme',
    `do:
  - one: ${POST('/ok', "'${ data }'")}
  - two: { set: { joined: '\${ data.body + " and more" }' } }`,
    { say: MARK },
  );
  expect(await handle.result()).toEqual({ joined: `{"say":"${MARK}"} and more` });
  await expectEncrypted(handle);
  expect(await rawQuery(handle.workflowId, 'progress')).toContain('binary/encrypted');
  expect(await rawQuery(handle.workflowId, '__temporal_workflow_metadata')).toContain('binary/encrypted');
  expect(await handle.query('progress')).toMatchObject({ status: 'Completed' });
});

test('messages, stack traces and data of failures are encrypted; the code is not', async () => {
  const handle = await start('acme', `do: [{ call: ${POST(`/fail/${MARK}`, `'${MARK}'`)} }]`);
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_STATUS', data: { content: { body: MARK } } });
  await expectEncrypted(handle);
  const text = await rawText(worker.client, handle.workflowId);
  expect(text).toContain('Encoded failure');
  expect(text).toContain('BLW_HTTP_STATUS');
  expect(text).not.toContain('got status 422');
  // What a client says of it is the message.
  const message = await handle.result().catch((error: Error) => (error.cause as Error).message);
  expect(message).toContain(`/fail/${MARK}: got status 422`);
});

test.each([
  ['a start that cannot be', { flow: { [MARK]: 1 }, tenant: 'acme' }, 'BLW_FLOW_INVALID'],
  ['another that cannot be', { flow: flowOf('do: []'), [MARK]: 1, tenant: 'acme' }, 'BLW_START_INVALID'],
])('the refusal of %s is encrypted', async (_, startInput, code) => {
  const handle = await clientOf('acme').workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [startInput],
  });
  expect(await errorOf(handle)).toMatchObject({ code, detail: expect.stringContaining(MARK) });
  await expectEncrypted(handle);
});

test('an approval is encrypted, and the decision on it', async () => {
  const handle = await start(
    'acme',
    `do: [{ ask: { call: human.approval, with: { title: 'Is ${MARK} right?', description: '${MARK}' } } }]`,
  );
  // A client that was told no tenant asks Temporal whose the workflow is.
  const asking = await openApproval(worker.client, handle);
  expect(await rawQuery(asking.workflowId, 'state')).not.toContain(MARK);
  await asking.executeUpdate('decide', { args: [{ decision: 'approved', by: 'ann', comment: MARK }] });
  expect(await handle.result()).toMatchObject({ decisions: [{ comment: MARK }] });
  await expectEncrypted(handle);
});

test('a dead letter is encrypted, and what the command shows and says of it', async () => {
  const step = POST('/fail', `'${MARK}'`).replace('call: http', 'call: http, metadata: { onFailure: deadLetter }');
  expect(step).toContain('deadLetter');
  const handle = await start('acme', `do: [{ bad: ${step} }]`);
  await progressWhen(handle, ({ status }) => status === 'DeadLettered');
  expect(await rawQuery(handle.workflowId, 'deadLetters')).not.toContain(MARK);
  const where = ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
  const cli = (...args: string[]) =>
    runInProcess(['dlq', ...args, '--encryption-keys', keyFile, ...where], { cwd: folder });
  expect((await cli('show', handle.workflowId)).stdout).toContain(MARK);
  const skipped = await cli('skip', handle.workflowId, '--output', `{"by": "${MARK}"}`, '--comment', MARK);
  expect(skipped).toMatchObject({ code: 0 });
  expect(await handle.result()).toEqual({ by: MARK });
  await expectEncrypted(handle);
});

test('sub-flows, windows of loops, retries, catches and compensations are encrypted', async () => {
  const handle = await start(
    'acme',
    `do:
  - loop:
      for: { each: item, in: '\${ data.items }' }
      metadata: { concurrency: 4, batchSize: 2 }
      do: [{ put: { call: fs.put, with: { path: '\${ item }.txt', content: '\${ item } ${MARK}' } } }]
  - careful:
      try: [{ bad: ${POST('/fail', `'${MARK}'`)} }]
      catch: { as: problem, do: [{ seen: { set: { seen: '\${ problem.data.content.body }' } } }] }
  - undone:
      metadata: { compensate: [{ tell: ${POST('/undo', `'undo ${MARK}'`)} }] }
      call: http
      with: { method: post, endpoint: '${echo.origin}/ok', body: '${MARK}' }
  - end: { raise: { error: { type: 'https://example.com/${MARK}', status: 400, title: '${MARK}', detail: 'at the end ${MARK}' } } }`,
    { items: ['a', 'b', 'c'].map((name) => `${MARK}-${name}`) },
  );
  expect(await errorOf(handle)).toMatchObject({ detail: `at the end ${MARK}` });
  expect((await familyOf(worker.client, handle.workflowId)).length).toBeGreaterThan(2);
  await eventually(async () => (echo.requests.some(({ url }) => url === '/undo') ? true : undefined));
  for (const id of await familyOf(worker.client, handle.workflowId)) {
    // The type of an error that an author raises is a name, and readable: retry policies and lists go by it.
    const text = (await rawText(worker.client, id)).replaceAll(`https://example.com/${MARK}`, '');
    expect(text).not.toContain(MARK);
  }
});

test('events, subscriptions, triggers and the flows that they start are encrypted', async () => {
  const taskQueue = `${worker.queuePrefix}-io`;
  const waiting = await start('acme', 'do: [{hear: {listen: {to: {one: {with: {type: reply}}}}}}]');
  await progressWhen(waiting, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  const sender = await start(
    'acme',
    `do: [{ tell: { emit: { event: { with: { type: reply, source: 'https://x.test/${MARK}', data: { say: '${MARK}' } } } } } }]`,
  );
  await sender.result();
  expect(await waiting.result()).toEqual([{ say: MARK }]);
  const bus = `${worker.queuePrefix}-events:acme`;
  const client = clientOf('acme');
  await client.workflow.getHandle(bus).signal('trigger', {
    id: 't1',
    flow: flowOf(`do: [{ s: { set: { got: '\${ data[0] } ${MARK}' } } }]`),
    on: { one: { with: { type: 'start-it' } } },
    language: 'cel',
  });
  const event = { specversion: '1.0', id: 'e1', source: '/s', type: 'start-it', data: MARK };
  await eventually(async () => {
    const answer = (await client.workflow.executeUpdateWithStart('emit', {
      args: [{ ...event, id: randomUUID() }],
      startWorkflowOperation: new WithStartWorkflowOperation('eventBus', {
        workflowId: bus,
        taskQueue,
        workflowIdConflictPolicy: 'USE_EXISTING',
      }),
    })) as { receivers: number };
    return answer.receivers > 0 ? true : undefined;
  });
  const busText = await rawText(client, bus);
  expect(busText).toContain('binary/encrypted');
  expect(busText).not.toContain(MARK);
  expect(await rawQuery(bus, 'subscriptions')).not.toContain('start-it');
  for (const handle of [waiting, sender]) await expectEncrypted(handle);
  const started = await eventually(async () => {
    const query = `TaskQueue = '${taskQueue}' AND WorkflowType = 'runFlow' AND ExecutionStatus = 'Completed'`;
    for await (const { workflowId } of client.workflow.list({ query })) {
      if (!workflowId.startsWith('flow-')) return client.workflow.getHandle(workflowId);
    }
    return undefined;
  });
  expect(await started.result()).toMatchObject({ got: expect.stringContaining(MARK) });
  await expectEncrypted(started);
});

test('large payloads are encrypted in the payload store', async () => {
  const big = MARK.repeat(60_000);
  const handle = await start('acme', `do: [{ one: ${POST('/ok', "'${ data }'")} }]`, { big });
  expect(JSON.stringify(await handle.result())).toContain(MARK);
  const text = await rawText(worker.client, handle.workflowId);
  expect(text).toContain('beamline/claim-check');
  expect(text).not.toContain(MARK);
  const objects = join(worker.folder, 'blobs', 'payloads', 'objects');
  const files = readdirSync(objects, { recursive: true, encoding: 'utf8' }).filter((name) => name.length > 60);
  expect(files.length).toBeGreaterThan(2);
  for (const name of files) expect(readFileSync(join(objects, name)).includes(MARK)).toBe(false);
});

test('a tenant without a key works as ever, beside one that has one', async () => {
  const handle = await start('open', `do: [{ call: ${POST('/fail', `'${MARK}'`)} }]`);
  await errorOf(handle);
  const text = await rawText(worker.client, handle.workflowId);
  expect(text).toContain(`"${MARK}"`);
  expect(text).toContain('got status 422');
  expect(text).not.toContain('binary/encrypted');
  expect(text).not.toContain('beamline-owner');
});

test('a start that comes readable is taken, and what follows is encrypted', async () => {
  const handle = await worker.client.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [
      {
        flow: flowOf(`do: [{ call: ${POST('/fail', '\'${ data.x }-" + "follows\'')} }]`),
        input: { x: 1 },
        tenant: 'acme',
      },
    ],
  });
  await errorOf(handle);
  const [first, ...rest] = (await handle.fetchHistory()).events ?? [];
  expect(readable(first)).toContain('"tenant":"acme"');
  const text = readable(rest);
  expect(text).toContain('binary/encrypted');
  expect(text).not.toContain('-follows');
  expect(text).not.toContain('got status 422');
});

test('whether a flow is open can be asked where its memo is encrypted', async () => {
  const { address, namespace } = testTemporal();
  const handle = await clientOf('acme').workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [{ flow: flowOf('do: [{hear: {listen: {to: {one: {with: {type: reply}}}}}}]'), tenant: 'acme' }],
    memo: { note: MARK },
  });
  const connection = await NativeConnection.connect({ address });
  try {
    const isOpen = createFlowProbe(new NamespaceClients(connection, KeyRing.EMPTY));
    const flow = { namespace, flowId: handle.workflowId, tenant: 'acme' };
    expect(await isOpen(flow, handle.firstExecutionRunId)).toBe(true);
    await handle.terminate();
    expect(await isOpen(flow, handle.firstExecutionRunId)).toBe(false);
    expect(await isOpen({ namespace, flowId: 'nowhere', tenant: 'acme' }, randomUUID())).toBe(false);
  } finally {
    await connection.close();
  }
});
