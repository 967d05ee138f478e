import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { LogFields } from '../../src/worker/logger';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { messagesOf, publishTo } from '../helpers/nats-stream';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const binary = findNatsServer();
const describeWithNats = binary === undefined ? describe.skip : describe;
const STREAM = 'BEAMLINE_EVENTS';

describeWithNats('events over NATS (needs nats-server)', () => {
  let nats: TestNats;
  let worker: TestWorker;
  const logged: { level: string; message: string; fields: LogFields }[] = [];
  const log = (level: string, message: string, fields: LogFields = {}) => logged.push({ level, message, fields });

  beforeAll(async () => {
    nats = await startNats(binary ?? '');
    worker = await startTestWorker({ 'nats-url': nats.url, pools: 'io' }, undefined, { log });
    await connected();
  }, 60_000);
  afterAll(async () => {
    await worker?.stop();
    await nats?.stop();
  });

  async function connected(): Promise<void> {
    await eventually(async () =>
      logged.some(({ message }) => /^NATS is (connected|back)/.test(message)) ? true : undefined,
    );
  }

  const tenantOf = () => `t-${randomUUID().slice(0, 8)}`;
  const subjectOf = (tenant: string, type: string) => `beamline.events.${tenant}.${type}`;
  const eventOf = (type: string, data: Json, more: JsonObject = {}): JsonObject => ({
    specversion: '1.0',
    id: randomUUID(),
    source: '/outside',
    type,
    data,
    ...more,
  });
  const busOf = (tenant: string) => worker.client.workflow.getHandle(`${worker.queuePrefix}-events:${tenant}`);
  const overview = (tenant: string) => busOf(tenant).query<BusOverview>('subscriptions');

  async function listening(tenant: string, to: string, more = ''): Promise<WorkflowHandle> {
    const handle = await worker.start(`do: [{hear: {listen: {to: ${to}${more}}}}]`, null, { tenant });
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    return handle;
  }

  /** Listens until so many events have come. */
  const all = (type: string, count: number) =>
    `{any: [{with: {type: ${type}}}], until: '\${ size(data) >= ${count} }'}`;
  const eventsOf = (tenant: string) => messagesOf(nats.url, STREAM, `beamline.events.${tenant}.`);

  test('an event that a flow emits reaches a listener once and the stream once, as a CloudEvent', async () => {
    const tenant = tenantOf();
    const listener = await listening(tenant, all('order.placed', 2));
    const emitted = await worker.run(
      "do: [{tell: {emit: {event: {with: {type: order.placed, data: '${ data }'}}}}}]",
      { n: 1 },
      { tenant },
    );
    const [message] = await eventually(async () => {
      const messages = await eventsOf(tenant);
      return messages.length > 0 ? messages : undefined;
    });
    expect(message).toMatchObject({
      subject: subjectOf(tenant, 'order.placed'),
      contentType: 'application/cloudevents+json',
      body: emitted as JsonObject,
    });
    expect(message?.body).toMatchObject({ specversion: '1.0', type: 'order.placed', data: { n: 1 } });
    // Behind its own copy from the stream, which must not have counted.
    await publishTo(nats.url, subjectOf(tenant, 'order.placed'), eventOf('order.placed', 2));
    expect(await listener.result()).toEqual([{ n: 1 }, 2]);
    expect(await overview(tenant)).toMatchObject({ emitted: 2, duplicates: 0 });
    expect(await eventsOf(tenant)).toHaveLength(2);
  });

  test('an event that another publishes reaches all flows of the tenant that listen, and no other tenant', async () => {
    const [tenant, other] = [tenantOf(), tenantOf()];
    const listeners = await Promise.all([listening(tenant, all('ping', 1)), listening(tenant, all('ping', 1))]);
    const stranger = await listening(other, all('ping', 1));
    const event = eventOf('ping', 'hello', { tenant: other, beamlinetenant: other });
    await publishTo(nats.url, subjectOf(tenant, 'ping'), event, event);
    for (const listener of listeners) expect(await listener.result()).toEqual(['hello']);
    await eventually(async () => ((await overview(tenant)).duplicates === 1 ? true : undefined));
    expect(await overview(other)).toMatchObject({ emitted: 0 });
    await stranger.terminate();
  });

  test('starts the flow of a trigger, once', async () => {
    const tenant = tenantOf();
    const flow = { ...(JSON.parse(TRIGGERED) as JsonObject) };
    await worker.client.workflow.signalWithStart('eventBus', {
      workflowId: busOf(tenant).workflowId,
      taskQueue: `${worker.queuePrefix}-io`,
      signal: 'trigger',
      signalArgs: [{ id: 'orders', flow, on: { one: { with: { type: 'go' } } } }],
    });
    await eventually(async () => ((await overview(tenant)).triggers.length === 1 ? true : undefined));
    const event = eventOf('go', { n: 5 });
    await publishTo(nats.url, subjectOf(tenant, 'go'), event, event);
    const started = await eventually(async () => {
      const found: string[] = [];
      const query = `WorkflowType = 'runFlow' AND BeamlineTenant = '${tenant}'`;
      for await (const { workflowId } of worker.client.workflow.list({ query })) found.push(workflowId);
      return found.length > 0 ? found : undefined;
    });
    expect(started).toHaveLength(1);
    expect(await worker.client.workflow.getHandle(started[0] ?? '').result()).toEqual([{ n: 5 }]);
  });

  test('takes poison out of the way, with a line in the log, and holds up nobody', async () => {
    const tenant = tenantOf();
    const listener = await listening(tenant, all('fine', 1));
    logged.length = 0;
    const subject = subjectOf(tenant, 'fine');
    const poison: (JsonObject | string)[] = [
      'no JSON',
      '',
      '[1, 2]',
      { specversion: '1.0', type: 'fine' },
      eventOf('fine', 1, { specversion: '0.3' }),
      eventOf('fine', 'x'.repeat(600_000)),
    ];
    await publishTo(nats.url, subject, ...poison);
    await publishTo(nats.url, 'beamline.events.no*tenant.fine'.replace('*', '!'), eventOf('fine', 'nobody'));
    await publishTo(nats.url, subject, eventOf('fine', 'good'));
    expect(await listener.result()).toEqual(['good']);
    const refused = await eventually(async () => {
      const lines = logged.filter(({ message }) => message === 'a message from NATS was refused');
      return lines.length >= poison.length + 1 ? lines : undefined;
    });
    expect(refused.map(({ fields }) => fields.error)).toEqual([
      'it is no JSON; expected a CloudEvent in structured mode',
      'it is no JSON; expected a CloudEvent in structured mode',
      expect.stringContaining('expected a CloudEvent such as'),
      expect.stringContaining('"id" is missing'),
      'specversion: got "0.3", expected "1.0"',
      expect.stringContaining('at most 500000 fit'),
      'its subject names no tenant',
    ]);
  });

  test('with NATS away flows emit and listen as before, and all goes out when it is back, each exactly once', async () => {
    const tenant = tenantOf();
    const rounds = 30;
    const listener = await listening(tenant, all('tick', rounds));
    await nats.kill();
    logged.length = 0;
    const ids = Array.from({ length: rounds }, (_, n) => n);
    await worker.run(
      "do: [{each: {for: {each: n, in: '${ data }'}, do: [{tell: {emit: {event: {with: {type: tick, data: '${ n }'}}}}}]}}]",
      ids,
      { tenant },
    );
    expect(await listener.result()).toEqual(ids);
    await nats.restart();
    await eventually(async () => ((await eventsOf(tenant)).length >= rounds ? true : undefined), 30_000);
    const messages = await eventsOf(tenant);
    expect(messages.map(({ body }) => body.data)).toEqual(ids);
    // Its own events have come in again by then, and counted for nothing.
    const last = await listening(tenant, all('tock', 1));
    await publishTo(nats.url, subjectOf(tenant, 'tock'), eventOf('tock', 'end'));
    expect(await last.result()).toEqual(['end']);
    expect(await overview(tenant)).toMatchObject({ emitted: rounds + 1, duplicates: 0 });
  }, 60_000);

  test('killing and restarting NATS again and again loses and doubles nothing', async () => {
    const tenant = tenantOf();
    const [emitters, each] = [4, 50];
    const emitting = Array.from({ length: emitters }, (_, emitter) =>
      worker.run(
        "do: [{each: {for: {each: n, in: '${ data }'}, do: [{tell: {emit: {event: {with: {type: load, data: '${ n }'}}}}}]}}]",
        Array.from({ length: each }, (_unused, n) => `${emitter}-${n}`),
        { tenant },
      ),
    );
    for (let round = 0; round < 3; round += 1) {
      const before = (await eventsOf(tenant)).length;
      await eventually(async () => ((await eventsOf(tenant)).length > before || round > 0 ? true : undefined));
      await nats.kill();
      await nats.restart();
    }
    await Promise.all(emitting);
    await eventually(async () => ((await eventsOf(tenant)).length >= emitters * each ? true : undefined), 60_000);
    const data = (await eventsOf(tenant)).map(({ body }) => String(body.data));
    expect(data).toHaveLength(emitters * each);
    expect(new Set(data).size).toBe(emitters * each);
  }, 120_000);

  test('two workers share the events of one consumer, and each reaches the bus once', async () => {
    const second = await startTestWorker(
      { 'nats-url': nats.url, pools: 'io', 'queue-prefix': worker.queuePrefix },
      undefined,
      { log },
    );
    try {
      const tenant = tenantOf();
      const listener = await listening(tenant, all('many', 100));
      const events = Array.from({ length: 100 }, (_, n) => eventOf('many', n));
      await publishTo(nats.url, subjectOf(tenant, 'many'), ...events);
      const heard = (await listener.result()) as number[];
      expect(heard.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
      expect(await overview(tenant)).toMatchObject({ emitted: 100, duplicates: 0 });
    } finally {
      await second.stop();
    }
  }, 60_000);
});

const TRIGGERED = JSON.stringify({
  document: { dsl: '1.0.3', namespace: 'test', name: 'triggered', version: '1.0.0' },
  evaluate: { language: 'cel' },
  do: [{ keep: { set: '${ data }' } }],
});
