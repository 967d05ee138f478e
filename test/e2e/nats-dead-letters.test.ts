import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WorkflowHandle } from '@temporalio/client';
import type { DeadLetters } from '../../src/dsl/dead-letter';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { LogFields } from '../../src/worker/logger';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { messagesOf, type StoredMessage } from '../helpers/nats-stream';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const binary = findNatsServer();
const describeWithNats = binary === undefined ? describe.skip : describe;
const STREAM = 'BEAMLINE_DLQ';
const SECRET = 'a-secret-of-some-length';

describeWithNats('dead letters on NATS (needs nats-server)', () => {
  let nats: TestNats;
  let worker: TestWorker;
  let server: Server;
  let origin: string;
  const logged: { message: string; fields: LogFields }[] = [];
  const broken = new Set<string>();

  beforeAll(async () => {
    process.env.NATS_TEST_SECRET = SECRET;
    nats = await startNats(binary ?? '');
    server = createServer((request, response) => {
      response.writeHead(broken.has(request.url ?? '') ? 400 : 200, { 'content-type': 'application/json' });
      response.end('{"ok": true}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const log = (_: string, message: string, fields: LogFields = {}) => logged.push({ message, fields });
    const settings = { 'nats-url': nats.url, secret: ['token=env:NATS_TEST_SECRET'] };
    worker = await startTestWorker(settings, undefined, { log });
  }, 60_000);
  afterAll(async () => {
    delete process.env.NATS_TEST_SECRET;
    await worker?.stop();
    await nats?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  const pay = (path: string) =>
    `{ pay: { call: http, metadata: { onFailure: deadLetter }, with: { method: post, endpoint: '${origin}${path}', body: { n: '\${ data.n }' } } } }`;

  async function parked(handle: WorkflowHandle): Promise<void> {
    await eventually(async () => {
      const { letters } = await handle.query<DeadLetters>('deadLetters');
      return letters.length > 0 ? letters : undefined;
    });
  }

  const resolve = (handle: WorkflowHandle, resolution: Json) => handle.executeUpdate('resolve', { args: [resolution] });

  /** The messages of one flow, once there are so many. */
  async function messagesFor(handle: WorkflowHandle, count: number, deadlineMs = 15_000): Promise<StoredMessage[]> {
    return await eventually(async () => {
      const all = await messagesOf(nats.url, STREAM);
      const own = all.filter(({ body }) => (body.data as JsonObject).flowId === handle.workflowId);
      return own.length >= count ? own : undefined;
    }, deadlineMs);
  }

  test('are published when they park and when they are resolved, each once, on the subject of the tenant', async () => {
    broken.add('/pay');
    const handle = await worker.start(`do: [${pay('/pay')}]`, { n: 7 }, { tenant: 'acme.eu' });
    await parked(handle);
    const [first] = await messagesFor(handle, 1);
    expect(first).toMatchObject({ subject: 'beamline.dlq.acme%2Eeu', contentType: 'application/cloudevents+json' });
    expect(first?.body).toMatchObject({
      specversion: '1.0',
      type: 'beamline.deadletter.parked',
      source: `/beamline/acme.eu/${handle.workflowId}`,
      subject: '/do/0/pay',
      data: {
        tenant: 'acme.eu',
        flow: 'test/flow:1.0.0',
        workflowId: handle.workflowId,
        id: '/do/0/pay',
        block: 'http.request',
        retries: 0,
        input: { n: 7 },
        with: { method: 'post', body: { n: 7 } },
        error: { code: 'BLW_HTTP_STATUS', status: 400 },
      },
    });
    await resolve(handle, { action: 'retry', by: 'alice', comment: 'once more' });
    await messagesFor(handle, 3);
    broken.delete('/pay');
    await parked(handle);
    await resolve(handle, { action: 'retry', by: 'bob' });
    await handle.result();
    const all = await messagesFor(handle, 4);
    const seen = all.map(({ body }) => [
      body.type,
      (body.data as JsonObject).retries,
      (body.data as JsonObject).action,
    ]);
    expect(seen).toEqual([
      ['beamline.deadletter.parked', 0, undefined],
      ['beamline.deadletter.resolved', 0, 'retry'],
      ['beamline.deadletter.parked', 1, undefined],
      ['beamline.deadletter.resolved', 1, 'retry'],
    ]);
    expect(all[1]?.body.data).toMatchObject({ by: 'alice', comment: 'once more', id: '/do/0/pay' });
    expect(new Set(all.map(({ body }) => body.id)).size).toBe(4);
  });

  test('are told of too where the flow is cancelled, and have no secrets', async () => {
    broken.add('/secret');
    const flow = `use: { secrets: [token] }
do: [{ pay: { call: http, metadata: { onFailure: deadLetter }, with: { method: get, endpoint: '${origin}/secret', headers: { x-token: '\${ secrets.token }' } } } }]`;
    const handle = await worker.start(flow, null, { tenant: 'secret' });
    await parked(handle);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    const [first, second] = await messagesFor(handle, 2);
    expect(second?.body).toMatchObject({ type: 'beamline.deadletter.resolved', data: { action: 'cancelled' } });
    expect((first?.body.data as JsonObject | undefined)?.with).toMatchObject({ headers: { 'x-token': '***' } });
    for (const { body } of [first, second].flatMap((one) => one ?? []))
      for (const text of [SECRET, Buffer.from(SECRET).toString('base64'), 'blw-secret'])
        expect(JSON.stringify(body)).not.toContain(text);
  });

  test('keep large values to themselves', async () => {
    broken.add('/large');
    const handle = await worker.start(`do: [${pay('/large')}]`, { n: 'x'.repeat(60_000) }, { tenant: 'large' });
    const [first] = await messagesFor(handle, 1);
    const data = first?.body.data as JsonObject;
    expect(data.omitted).toEqual(['input', 'with']);
    expect(data).not.toHaveProperty('input');
    expect(data).not.toHaveProperty('with');
    await resolve(handle, { action: 'discard' });
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_STATUS' });
  });

  test('that were resolved, with their flows, while NATS was away come out when it is back, each exactly once', async () => {
    broken.add('/away');
    const before = (await messagesOf(nats.url, STREAM)).length;
    logged.length = 0;
    await nats.kill();
    const flows = await Promise.all(
      Array.from({ length: 8 }, (_, n) => worker.start(`do: [${pay('/away')}]`, { n }, { tenant: `away-${n % 2}` })),
    );
    await Promise.all(flows.map(parked));
    await Promise.all(flows.map((flow) => resolve(flow, { action: 'skip', output: 'skipped' })));
    expect(await Promise.all(flows.map((flow) => flow.result()))).toEqual(flows.map(() => 'skipped'));
    await nats.restart();
    await eventually(
      async () => ((await messagesOf(nats.url, STREAM)).length >= before + 16 ? true : undefined),
      30_000,
    );
    const late = (await messagesOf(nats.url, STREAM)).slice(before);
    expect(late).toHaveLength(16);
    expect(new Set(late.map(({ body }) => body.id)).size).toBe(16);
    for (const flow of flows) {
      const own = late.filter(({ body }) => (body.data as JsonObject).flowId === flow.workflowId);
      expect(own.map(({ body }) => body.type)).toEqual(['beamline.deadletter.parked', 'beamline.deadletter.resolved']);
    }
    const lines = logged.filter(({ message }) => message.startsWith('NATS is')).map(({ message }) => message);
    expect(lines).toEqual(['NATS is away: events and dead letters wait in the state store', 'NATS is back']);
  }, 60_000);
});
