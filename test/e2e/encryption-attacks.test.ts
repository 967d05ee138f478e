import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { type Payload, RawValue } from '@temporalio/common';
import type { JsonObject } from '../../src/dsl/json';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { connectClient } from '../../src/worker/temporal-connection';
import { LoopbackServers } from '../helpers/loopback';
import { rawText, readable } from '../helpers/raw-history';
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

const MARK = 'PLAIN-of-other';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const keyFile = join(folder, 'keys.yaml');
const servers = new LoopbackServers();
let worker: TestWorker;
/** Knows no key and no codec: whoever reaches Temporal. */
let bare: Client;
const closing: (() => Promise<void>)[] = [];
const clients = new Map<string, Client>();

beforeAll(async () => {
  const key = () => randomBytes(32).toString('base64');
  writeFileSync(keyFile, `acme: [{id: k1, key: "${key()}"}]\nother: [{id: k1, key: "${key()}"}]\n`);
  worker = await startTestWorker({ 'encryption-keys': keyFile });
  const { address, namespace } = testTemporal();
  const connection = await Connection.connect({ address });
  closing.push(() => connection.close());
  bare = new Client({ connection, namespace });
  for (const tenant of ['acme', 'other']) {
    const { client, close } = await connectClient({ ...testTemporal(), keys: readKeyRing(keyFile, {}), tenant });
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

function start(tenant: string, text: string, workflowId = `flow-${randomUUID()}`, args: unknown[] = []) {
  return (clients.get(tenant) as Client).workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId,
    args: args.length > 0 ? args : [{ flow: flowOf(text), input: { say: MARK }, tenant }],
  });
}

/** The encrypted payload that a flow was started with, and that of its result. */
async function sealedOf(handle: WorkflowHandle): Promise<{ input: Payload; result: Payload }> {
  const { events } = await handle.fetchHistory();
  const input = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  const result = events?.at(-1)?.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0];
  return { input: clean(input), result: clean(result) };
}

/** As bytes, whatever the client made of it. */
function clean(payload: Payload | null | undefined): Payload {
  const bytes = (value: unknown) =>
    typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.from(value as Buffer);
  const metadata = Object.entries(payload?.metadata ?? {}).map(([name, value]) => [name, bytes(value)]);
  return { metadata: Object.fromEntries(metadata), data: bytes(payload?.data) };
}

const raw = (payload: Payload) => RawValue.fromPayload(payload);
const ECHO = "do: [{ s: { set: { got: '${ data }' } } }]";
const LISTEN = 'do: [{hear: {listen: {to: {one: {with: {type: reply}}}}}}]';

/** Of another tenant, of this one under another id, and of another tenant under an id that both have used. */
let foreign: { input: Payload; result: Payload };
let own: { input: Payload; result: Payload };
const reused = `flow-${randomUUID()}`;
let formerly: { input: Payload; result: Payload };
/** An event that the other tenant's flow took under that id. */
let formerEvent: Payload;
beforeAll(async () => {
  const ended = async (handle: WorkflowHandle) => {
    await handle.result();
    return await sealedOf(handle);
  };
  foreign = await ended(await start('other', ECHO));
  own = await ended(await start('acme', ECHO));
  formerly = await ended(await start('other', ECHO, reused));
  const listening = await start('other', '', reused, [{ flow: flowOf(LISTEN), tenant: 'other' }]);
  await listening.signal('event', { specversion: '1.0', id: 'e', source: '/s', type: 'reply', data: MARK });
  expect(await listening.result()).toEqual([MARK]);
  const { events } = await listening.fetchHistory();
  const signal = events?.find((event) => event.workflowExecutionSignaledEventAttributes != null);
  formerEvent = clean(signal?.workflowExecutionSignaledEventAttributes?.input?.payloads?.[0]);
});

function changed(payload: Payload, change: (copy: { metadata: Record<string, Uint8Array>; data: Buffer }) => void) {
  const copy = {
    metadata: { ...(payload.metadata as Record<string, Uint8Array>) },
    data: Buffer.from(payload.data ?? []),
  };
  change(copy);
  return copy;
}

const ATTACKS: readonly (readonly [string, () => Payload])[] = [
  ['of another tenant', () => foreign.input],
  ['of another flow of the tenant', () => own.input],
  [
    'of another tenant, with this tenant written on it',
    () =>
      changed(foreign.input, ({ metadata }) => {
        metadata['beamline-tenant'] = Buffer.from('acme');
      }),
  ],
  [
    'of another flow, with no flow written on it',
    () =>
      changed(own.input, ({ metadata }) => {
        delete metadata['beamline-workflow'];
      }),
  ],
  [
    'of another flow, with this flow written on it',
    () =>
      changed(own.input, ({ metadata }) => {
        metadata['beamline-workflow'] = Buffer.from('target');
      }),
  ],
  [
    'with one bit turned',
    () =>
      changed(own.input, ({ data }) => {
        data[data.length - 20] = (data[data.length - 20] ?? 0) ^ 1;
      }),
  ],
  [
    'without its last byte',
    () =>
      changed(own.input, (copy) => {
        copy.data = copy.data.subarray(0, -1);
      }),
  ],
  [
    'without anything in it',
    () =>
      changed(own.input, (copy) => {
        copy.data = Buffer.alloc(0);
      }),
  ],
  [
    'of another form',
    () =>
      changed(own.input, ({ data }) => {
        data[0] = 2;
      }),
  ],
  [
    'that does not say whose it is',
    () =>
      changed(own.input, ({ metadata }) => {
        delete metadata['beamline-tenant'];
      }),
  ],
];

async function expectNothingOf(handle: WorkflowHandle): Promise<void> {
  const client = clients.get('acme') as Client;
  const history = await client.workflow.getHandle(handle.workflowId).fetchHistory();
  expect(readable(history)).not.toContain(MARK);
  const progress = JSON.stringify(await client.workflow.getHandle(handle.workflowId).query('progress'));
  expect(progress).not.toContain(MARK);
}

describe.each(ATTACKS)('a payload %s', (_, payload) => {
  test('starts nothing', async () => {
    const handle = await bare.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [raw(payload())],
    });
    const error = await errorOf(handle);
    expect(error).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
    await expectNothingOf(handle);
  });

  test('is no event for a flow', async () => {
    const handle = await start('acme', '', undefined, [{ flow: flowOf(LISTEN), tenant: 'acme' }]);
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    await bare.workflow.getHandle(handle.workflowId).signal('event', raw(payload()));
    const { notes } = await progressWhen(handle, ({ notes: told = [] }) => told.length > 0);
    expect(JSON.stringify(notes)).toMatch(/refused: the payload cannot be read .encrypted payload/);
    await expectNothingOf(handle);
    await handle.terminate();
  });
});

test('a payload of the tenant that had the id before is not read', async () => {
  const handle = await start('acme', '', reused, [{ flow: flowOf(LISTEN), tenant: 'acme' }]);
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  await bare.workflow.getHandle(reused).signal('event', raw(formerEvent));
  const { notes } = await progressWhen(handle, ({ notes: told = [] }) => told.length > 0);
  expect(JSON.stringify(notes)).toContain('encrypted for another tenant');
  await expectNothingOf(handle);
  await handle.terminate();
});

test("a start that is another tenant's, under the id that it had, runs as theirs and not as this one", async () => {
  const handle = await bare.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: reused,
    args: [raw(formerly.input)],
  });
  await (clients.get('other') as Client).workflow.getHandle(handle.workflowId).result();
  expect(await rawText(bare, reused)).not.toContain(MARK);
  // No start at all: the result of the flow before. Its refusal is encrypted for the other tenant, too.
  const other = await bare.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: reused,
    args: [raw(formerly.result)],
  });
  expect(await errorOf((clients.get('other') as Client).workflow.getHandle(reused))).toMatchObject({
    code: 'BLW_START_INVALID',
  });
  expect(await rawText(bare, other.workflowId)).not.toContain(MARK);
});

test('a foreign payload as the result of a step fails the step', async () => {
  const never = await servers.http(() => undefined);
  const handle = await start('acme', '', undefined, [
    {
      flow: flowOf(`do: [{ s: { call: http, with: { method: get, endpoint: '${never.origin}/' } } }]`),
      tenant: 'acme',
    },
  ]);
  const activityId = await eventually(async () => {
    const { events } = await handle.fetchHistory();
    return (
      events?.find((event) => event.activityTaskScheduledEventAttributes != null)?.activityTaskScheduledEventAttributes
        ?.activityId ?? undefined
    );
  });
  await eventually(async () => (never.requests.length > 0 ? true : undefined));
  await bare.workflowService.respondActivityTaskCompletedById({
    namespace: testTemporal().namespace,
    workflowId: handle.workflowId,
    runId: handle.firstExecutionRunId,
    activityId,
    result: { payloads: [foreign.result] },
  });
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
  await expectNothingOf(handle);
});

test('a decision that was encrypted for another approval is refused before it is recorded', async () => {
  const ask = "do: [{ ask: { call: human.approval, with: { title: 'Right?' } } }]";
  const handle = await start('acme', '', undefined, [{ flow: flowOf(ask), tenant: 'acme' }]);
  const approval = await openApproval(bare, handle);
  for (const payload of [foreign.input, own.input]) {
    const error: unknown = await approval
      .executeUpdate('decide', { args: [raw(payload)] })
      .catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(Error);
  }
  const state = (await clients.get('acme')?.workflow.getHandle(approval.workflowId).query('state')) as JsonObject;
  expect(state).toMatchObject({ status: 'pending', decisions: [] });
  expect(await rawText(bare, approval.workflowId)).not.toContain('WORKFLOW_EXECUTION_UPDATE_ACCEPTED');
  await handle.terminate();
});

test('a mark that somebody sends along is taken off', async () => {
  const data = Buffer.from(JSON.stringify({ flow: flowOf(ECHO), tenant: 'acme' }));
  const metadata = { encoding: Buffer.from('json/plain'), 'beamline-owner': Buffer.from('other') };
  const handle = await bare.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [raw({ metadata, data })],
  });
  expect(await (clients.get('acme') as Client).workflow.getHandle(handle.workflowId).result()).toEqual({ got: null });
});
