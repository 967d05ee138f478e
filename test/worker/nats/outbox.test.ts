import { randomBytes, randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { KeyRing } from '../../../src/activities/payloads/key-ring';
import type { CloudEvent } from '../../../src/dsl/events/cloud-event';
import type { LogFields } from '../../../src/worker/logger';
import { MessageBodies } from '../../../src/worker/nats/message-body';
import { countMessages } from '../../../src/worker/nats/outbox-rules';
import { OutboxSender } from '../../../src/worker/nats/outbox-sender';
import { StoreOutbox } from '../../../src/worker/nats/store-outbox';
import { ensureStreams } from '../../../src/worker/nats/streams';
import { query } from '../../../src/worker/state/rule';
import { type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { findNatsServer, startNats, type TestNats } from '../../helpers/nats';
import { messagesOf, withNats } from '../../helpers/nats-stream';
import { storeKinds } from '../../helpers/state-stores';
import { eventually } from '../../helpers/test-worker';

const binary = findNatsServer();
const describeWithNats = binary === undefined ? describe.skip : describe;

const eventOf = (id: string, data = 'x', source = '/test'): CloudEvent => ({
  specversion: '1.0',
  id,
  source,
  type: 'done',
  data,
});
const keysOf = (...tenants: string[]) =>
  new KeyRing(new Map(tenants.map((tenant) => [tenant, [{ id: 'k1', secret: randomBytes(32) }]])));

describeWithNats.each(storeKinds())('the outbox in $name (needs nats-server)', (kind) => {
  let nats: TestNats;
  let store: StateStore;
  const logged: { message: string; fields: LogFields }[] = [];
  const log = (_: string, message: string, fields: LogFields = {}) => logged.push({ message, fields });

  beforeAll(async () => {
    await kind.setUp();
    nats = await startNats(binary ?? '', 'max_payload: 65536');
  }, 60_000);
  afterAll(async () => {
    await nats.stop();
    await kind.tearDown();
  });
  beforeEach(async () => {
    await kind.begin();
    store = kind.open();
    logged.length = 0;
  });
  afterEach(() => store.close());

  const outboxOf = (keys = KeyRing.EMPTY) =>
    new StoreOutbox({ store, bodies: new MessageBodies(keys), origin: 'here' });
  const senderOf = (keys = KeyRing.EMPTY, worker = randomUUID()) =>
    new OutboxSender({ store, bodies: new MessageBodies(keys), worker, logger: { log } });

  /** Sends until nothing is left, or until `isDone`. */
  async function send(senders: readonly OutboxSender[], isDone?: () => Promise<boolean>): Promise<void> {
    const isEmpty = async () => (await store.run(countMessages)) === 0;
    await withNats(nats.url, async (connection) => {
      await ensureStreams(connection);
      const stopping = new AbortController();
      const running = senders.map((sender) =>
        sender.run({ nats: connection, stream: jetstream(connection) }, stopping.signal, () => undefined),
      );
      await eventually(async () => ((await (isDone ?? isEmpty)()) ? true : undefined));
      stopping.abort();
      await Promise.all(running);
    });
  }

  const eventsOf = (tenant: string) => messagesOf(nats.url, 'BEAMLINE_EVENTS', `beamline.events.${tenant}.`);

  test('keeps a message once, and sends each once', async () => {
    const tenant = `t-${randomUUID()}`;
    const outbox = outboxOf();
    const ids = Array.from({ length: 50 }, (_, n) => String(n));
    for (const id of ids) {
      await outbox.put({ kind: 'event', tenant, event: eventOf(id) });
      await outbox.put({ kind: 'event', tenant, event: eventOf(id) });
    }
    expect(await store.run(countMessages)).toBe(50);
    await send([senderOf()]);
    const messages = await eventsOf(tenant);
    expect(messages).toHaveLength(50);
    expect(new Set(messages.map(({ body }) => body.id))).toEqual(new Set(ids));
    expect(messages[0]).toMatchObject({ origin: 'here', contentType: 'application/cloudevents+json' });
  });

  test('is sent by one worker at a time, and by another when that one is gone', async () => {
    const tenant = `t-${randomUUID()}`;
    const outbox = outboxOf();
    for (let n = 0; n < 100; n += 1) await outbox.put({ kind: 'event', tenant, event: eventOf(String(n)) });
    await send([senderOf(), senderOf(), senderOf()]);
    expect(await eventsOf(tenant)).toHaveLength(100);
    await outbox.put({ kind: 'event', tenant, event: eventOf('last') });
    await send([senderOf()]);
    expect(await eventsOf(tenant)).toHaveLength(101);
  });

  test('keeps a message that was published before and is published again out of the stream', async () => {
    const tenant = `t-${randomUUID()}`;
    for (let round = 0; round < 2; round += 1) {
      await outboxOf().put({ kind: 'deadLetter', tenant, event: eventOf('same') });
      await send([senderOf()]);
    }
    expect(await messagesOf(nats.url, 'BEAMLINE_DLQ', `beamline.dlq.${tenant}`)).toHaveLength(1);
  });

  test('has nothing readable of a tenant whose payloads are encrypted, and what it cannot read holds up nobody', async () => {
    const [sealed, lost, open] = ['sealed', 'lost', 'open'].map((name) => `${name}-${randomUUID()}`) as [
      string,
      string,
      string,
    ];
    const keys = keysOf(sealed);
    const marker = 'a-value-to-look-for';
    await outboxOf(keysOf(lost)).put({ kind: 'event', tenant: lost, event: eventOf('1', marker) });
    await outboxOf(keys).put({ kind: 'event', tenant: sealed, event: eventOf('2', marker) });
    await outboxOf(keys).put({ kind: 'event', tenant: open, event: eventOf('3') });
    const bodies = await store.run(() => query<{ body: string }>('SELECT body FROM beamline_outbox'));
    for (const text of [marker, Buffer.from(marker).toString('base64').slice(2, -4)])
      expect(JSON.stringify(bodies)).not.toContain(text);
    await send([senderOf(keys)], async () => (await store.run(countMessages)) === 1);
    expect((await eventsOf(sealed))[0]?.body).toEqual(eventOf('2', marker));
    expect(await eventsOf(open)).toHaveLength(1);
    expect(await eventsOf(lost)).toEqual([]);
    expect(logged).toMatchObject([{ message: 'a message for NATS cannot be read', fields: { tenant_id: lost } }]);
  });

  test('drops what is too large for NATS, with a line in the log', async () => {
    const tenant = `t-${randomUUID()}`;
    await outboxOf().put({ kind: 'event', tenant, event: eventOf('large', 'x'.repeat(65_000)) });
    await outboxOf().put({ kind: 'event', tenant, event: eventOf('small') });
    await send([senderOf()]);
    expect((await eventsOf(tenant)).map(({ body }) => body.id)).toEqual(['small']);
    expect(logged).toMatchObject([
      { message: 'a message was dropped: it is too large for NATS', fields: { tenant_id: tenant } },
    ]);
  });
});

describe('an outbox whose state store is away', () => {
  const store: StateStore = {
    run: () => Promise.reject(new StateStoreUnavailable(new Error('gone'))),
    close: async () => undefined,
  };
  const message = { kind: 'event', tenant: 'acme', event: eventOf('1') } as const;

  test('publishes at once where it can', async () => {
    const published: string[] = [];
    const publishNow = async ({ subject, body }: { subject: string; body: string }) => {
      published.push(`${subject} ${body}`);
    };
    const keys = keysOf('acme');
    const outbox = new StoreOutbox({ store, bodies: new MessageBodies(keys), origin: 'here', publishNow });
    await outbox.put(message);
    expect(published).toEqual([`beamline.events.acme.done ${JSON.stringify(message.event)}`]);
  });

  test('fails where it cannot, so that it is tried again', async () => {
    const bodies = new MessageBodies(KeyRing.EMPTY);
    await expect(new StoreOutbox({ store, bodies, origin: 'here' }).put(message)).rejects.toThrow(
      StateStoreUnavailable,
    );
    const publishNow = () => Promise.reject(new Error('away'));
    await expect(new StoreOutbox({ store, bodies, origin: 'here', publishNow }).put(message)).rejects.toThrow('away');
  });
});
