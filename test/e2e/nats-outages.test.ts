import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import type { Client } from '@temporalio/client';
import type { DeadLetters } from '../../src/dsl/dead-letter';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { LogFields } from '../../src/worker/logger';
import type { OptionValues } from '../../src/worker/options';
import { connectClient } from '../../src/worker/temporal-connection';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { startTemporalServer, type TemporalServer } from '../../temporal-dev/server';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { messagesOf, publishTo, withNats } from '../helpers/nats-stream';
import { TcpProxy } from '../helpers/tcp-proxy';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const binary = findNatsServer();
const describeWithNats = binary === undefined ? describe.skip : describe;

const emitAll = (type: string) =>
  `do: [{each: {for: {each: n, in: '\${ data }'}, do: [{tell: {emit: {event: {with: {type: ${type}, data: '\${ n }'}}}}}]}}]`;
const listenFor = (type: string, count: number) =>
  `do: [{hear: {listen: {to: {any: [{with: {type: ${type}}}], until: '\${ size(data) >= ${count} }'}}}}]`;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const eventOf = (type: string, data: Json): JsonObject => ({
  specversion: '1.0',
  id: randomUUID(),
  source: '/outside',
  type,
  data,
});

/** Of the server: that a worker has a workflow task. */
const WORKFLOW_TASK_STARTED = 6;

/** What a test has for itself: the tests run at once, since each waits for what is away most of its time. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  readonly logged: { message: string; fields: LogFields }[] = [];
  readonly processes = new WorkerProcesses();
  readonly #workers: Pick<TestWorker, 'stop'>[] = [];
  readonly #temporals: Pick<TemporalServer, 'stop'>[] = [];
  #nats: TestNats | undefined;

  get nats(): TestNats {
    if (this.#nats === undefined) throw new Error('there is no NATS yet');
    return this.#nats;
  }

  async open(): Promise<this> {
    this.#nats = await startNats(binary ?? '');
    return this;
  }

  async close(): Promise<void> {
    await this.processes.killAll();
    for (const worker of this.#workers) await worker.stop();
    for (const temporal of this.#temporals) await temporal.stop();
    await this.#nats?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A worker in this process, which ends with the test unless it is stopped before. */
  readonly start = async (settings: OptionValues = {}, target = testTemporal()): Promise<TestWorker> => {
    const log = (_: string, message: string, fields: LogFields = {}) => this.logged.push({ message, fields });
    const worker = await startTestWorker({ 'nats-url': this.nats.url, pools: 'io', ...settings }, target, { log });
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= worker.stop();
      return stopped;
    };
    this.#workers.push({ stop });
    return { ...worker, stop };
  };

  /** A Temporal of its own, which ends with the test. */
  readonly startTemporal = async (
    options: Omit<Parameters<typeof startTemporalServer>[0], 'cli' | 'headless' | 'log'>,
  ): Promise<TemporalServer> => {
    const log = () => undefined;
    const cli = await findTemporal({ log, canInstall: false });
    const server = await startTemporalServer({ cli, headless: true, log, ...options });
    this.#temporals.push(server);
    return server;
  };

  readonly lines = () => this.logged.map(({ message }) => message).filter((message) => message.startsWith('NATS is'));
  readonly untilLogged = (text: string) =>
    eventually(async () => (this.lines().some((line) => line.startsWith(text)) ? true : undefined));
  readonly eventsOf = (tenant: string) => messagesOf(this.nats.url, 'BEAMLINE_EVENTS', `beamline.events.${tenant}.`);
  readonly untilThereAre = (tenant: string, count: number) =>
    eventually(async () => ((await this.eventsOf(tenant)).length >= count ? true : undefined), 30_000);
}

/** A test in a world of its own, which ends with it. */
function inWorld(work: (world: World) => Promise<void>): () => Promise<void> {
  return async () => {
    const world = new World();
    try {
      await work(await world.open());
    } finally {
      await world.close();
    }
  };
}

const busOf = (client: Client, prefix: string, tenant: string) =>
  client.workflow.getHandle(`${prefix}-events:${tenant}`);

async function listening(at: TestWorker, tenant: string, type: string, count: number) {
  const handle = await at.start(listenFor(type, count), null, { tenant });
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  return handle;
}

describeWithNats('with something away (needs nats-server)', () => {
  test.concurrent(
    'a worker that starts without NATS works, and what its flows emit goes out once it is there',
    inWorld(async ({ eventsOf, lines, nats, start, untilLogged, untilThereAre }) => {
      await nats.kill();
      const at = await start();
      await untilLogged('NATS is away');
      await at.run(emitAll('early'), numbers(5), { tenant: 'acme' });
      await nats.restart();
      await untilThereAre('acme', 5);
      expect((await eventsOf('acme')).map(({ body }) => body.data)).toEqual(numbers(5));
      expect(lines()).toEqual(['NATS is away: events and dead letters wait in the state store', 'NATS is back']);
    }),
    60_000,
  );

  test.concurrent(
    'what a worker that was killed had not published another does',
    inWorld(async ({ eventsOf, folder, nats, processes, untilThereAre }) => {
      const prefix = `nats-${randomUUID()}`;
      const flags = [
        ...['--queue-prefix', prefix, '--blob-root', join(folder, 'blobs'), '--pools', 'io', '--nats-url', nats.url],
      ];
      await nats.kill();
      const first = await processes.start(flags);
      const { client, close } = await connectClient(testTemporal());
      try {
        const flow = await client.workflow.start('runFlow', {
          taskQueue: `${prefix}-io`,
          workflowId: `flow-${randomUUID()}`,
          args: [{ flow: flowOf(emitAll('left')), input: numbers(20), tenant: 'acme' }],
        });
        await flow.result();
      } finally {
        await close();
      }
      await kill(first);
      await nats.restart();
      expect(await eventsOf('acme')).toEqual([]);
      await processes.start(flags);
      await untilThereAre('acme', 20);
      expect((await eventsOf('acme')).map(({ body }) => body.data)).toEqual(numbers(20));
    }),
    90_000,
  );

  test.concurrent(
    'workers that are killed while they emit and publish lose and double nothing',
    inWorld(async ({ eventsOf, folder, nats, processes, untilThereAre }) => {
      const prefix = `nats-${randomUUID()}`;
      const flags = [
        '--queue-prefix',
        prefix,
        '--blob-root',
        join(folder, 'blobs'),
        '--pools',
        'io',
        '--nats-url',
        nats.url,
      ];
      const { client, close } = await connectClient(testTemporal());
      try {
        let victim = await processes.start(flags);
        const flows = await Promise.all(
          numbers(3).map((n) =>
            client.workflow.start('runFlow', {
              taskQueue: `${prefix}-io`,
              workflowId: `flow-${n}-${randomUUID()}`,
              args: [
                { flow: flowOf(emitAll('crash')), input: numbers(60).map((index) => `${n}-${index}`), tenant: 'acme' },
              ],
            }),
          ),
        );
        for (let kills = 0; kills < 3; kills += 1) {
          const before = (await eventsOf('acme')).length;
          await untilThereAre('acme', Math.min(before + 10, 180));
          await kill(victim);
          victim = await processes.start(flags);
        }
        for (const flow of flows) await flow.result();
      } finally {
        await close();
      }
      await untilThereAre('acme', 180);
      const data = (await eventsOf('acme')).map(({ body }) => String(body.data));
      expect(data).toHaveLength(180);
      expect(new Set(data).size).toBe(180);
    }),
    180_000,
  );

  test.concurrent(
    'events that come while Temporal is away reach their flows when it is back, each once',
    inWorld(async ({ folder, logged, nats, start, startTemporal, untilLogged }) => {
      const dbFile = join(folder, 'temporal.db');
      const temporal = await startTemporal({ dbFile });
      const { address } = temporal;
      const at = await start({}, temporal);
      await untilLogged('NATS is connected');
      const flow = await listening(at, 'acme', 'late', 10);
      await temporal.stop();
      const events = numbers(10).map((n) => eventOf('late', n));
      await publishTo(nats.url, 'beamline.events.acme.late', ...events);
      await eventually(
        async () => (logged.some(({ message }) => message.startsWith('events from NATS wait')) ? true : undefined),
        60_000,
      );
      await startTemporal({ dbFile, port: Number(address.split(':').at(-1)) });
      const heard = (await flow.result()) as number[];
      expect([...heard].sort((a, b) => a - b)).toEqual(numbers(10));
      expect(await busOf(at.client, at.queuePrefix, 'acme').query<BusOverview>('subscriptions')).toMatchObject({
        emitted: 10,
      });
      expect(logged.map(({ message }) => message)).toContain('Temporal takes events from NATS again');
    }),
    120_000,
  );

  test.concurrent(
    'events that others publish survive kills of NATS, each once',
    inWorld(async ({ nats, start, untilLogged }) => {
      const at = await start();
      await untilLogged('NATS is connected');
      const flow = await listening(at, 'acme', 'load', 200);
      const bus = busOf(at.client, at.queuePrefix, 'acme');
      for (let batch = 0; batch < 4; batch += 1) {
        await withNats(nats.url, async (connection) => {
          const stream = jetstream(connection);
          // As a publisher that repeats what was not acknowledged: some of it twice.
          for (let n = batch * 50; n < batch * 50 + 50; n += 1) {
            const event = { ...eventOf('load', n), id: `load-${n}` };
            for (let copy = 0; copy < (n % 10 === 0 ? 2 : 1); copy += 1)
              await stream.publish('beamline.events.acme.load', JSON.stringify(event));
          }
        });
        await eventually(async () => {
          const { emitted } = await bus.query<BusOverview>('subscriptions');
          return emitted > batch * 50 ? true : undefined;
        });
        await nats.kill();
        await nats.restart();
      }
      const heard = (await flow.result()) as number[];
      expect([...heard].sort((a, b) => a - b)).toEqual(numbers(200));
      const { emitted } = await bus.query<BusOverview>('subscriptions');
      expect(emitted).toBe(200);
    }),
    120_000,
  );

  test.concurrent(
    'a flow with a dead letter is rebuilt on another worker, also one without NATS, and tells all once',
    inWorld(async ({ folder, nats, start }) => {
      const prefix = `nats-${randomUUID()}`;
      const shared = { 'queue-prefix': prefix, 'blob-root': join(folder, 'blobs') };
      const first = await start(shared);
      const flow = flowOf("do: [{a: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: 'no/such'}}}]");
      const handle = await first.client.workflow.start('runFlow', {
        taskQueue: `${prefix}-io`,
        workflowId: `flow-${randomUUID()}`,
        args: [{ flow, tenant: 'acme' }],
      });
      const lettersOf = () => messagesOf(nats.url, 'BEAMLINE_DLQ', 'beamline.dlq.acme');
      await eventually(async () => ((await lettersOf()).length === 1 ? true : undefined));
      await first.stop();
      const second = await startTestWorker({ ...shared, pools: 'io' });
      try {
        const again = second.client.workflow.getHandle(handle.workflowId);
        await again.executeUpdate('resolve', { args: [{ action: 'skip', output: 7 }] });
        expect(await again.result()).toBe(7);
      } finally {
        await second.stop();
      }
      expect(await lettersOf()).toHaveLength(1);
      await start(shared);
      await eventually(async () => ((await lettersOf()).length > 1 ? true : undefined));
      expect((await lettersOf()).map(({ body }) => body.type)).toEqual([
        'beamline.deadletter.parked',
        'beamline.deadletter.resolved',
      ]);
    }),
    60_000,
  );

  test.concurrent(
    'dead letters stay one message each when their flow continues as new, and have no values of encrypted tenants',
    inWorld(async ({ folder, nats, start, startTemporal }) => {
      const temporal = await startTemporal({
        dynamicConfig: {
          'limit.historyCount.suggestContinueAsNew': 60,
          'history.workflowIdReuseMinimalInterval': '1ms',
        },
      });
      const keyFile = join(folder, 'keys.yaml');
      writeFileSync(keyFile, JSON.stringify({ sealed: [{ id: 'k1', key: randomBytes(32).toString('base64') }] }));
      // In place the loop would leave too few events for a new history.
      const at = await start({ 'encryption-keys': keyFile, dispatch: 'queue' }, temporal);
      const fail = `{a: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: 'no/such/value-to-look-for'}}}`;
      const loop = `{loop: {for: {in: '\${ data }'}, do: [{s: {call: fs.stat, with: {path: x, ifMissing: ignore}}}]}}`;
      for (const tenant of ['sealed', 'open']) {
        const handle = await at.start(`do: [{f: {fork: {branches: [${fail}, ${loop}]}}}]`, numbers(30), { tenant });
        const { runId } = await handle.describe();
        await eventually(async () => ((await handle.describe()).runId === runId ? undefined : true), 30_000);
        await handle.executeUpdate('resolve', { args: [{ action: 'skip', comment: 'a comment' }] });
        await handle.result();
      }
      for (const tenant of ['sealed', 'open']) {
        const messages = await eventually(async () => {
          const own = await messagesOf(nats.url, 'BEAMLINE_DLQ', `beamline.dlq.${tenant}`);
          return own.length >= 2 ? own : undefined;
        });
        expect(messages.map(({ body }) => body.type)).toEqual([
          'beamline.deadletter.parked',
          'beamline.deadletter.resolved',
        ]);
        const text = JSON.stringify(messages);
        const hasValues = ['value-to-look-for', 'a comment'].filter((value) => text.includes(value));
        expect(hasValues).toEqual(tenant === 'open' ? ['value-to-look-for', 'a comment'] : []);
        expect(text).toContain('BLW_FS_NOT_FOUND');
      }
    }),
    120_000,
  );

  test.concurrent(
    'a dead letter is told once, where its worker is lost before the history has it',
    inWorld(async ({ folder, nats, processes }) => {
      const { address } = testTemporal();
      const proxy = await TcpProxy.start(Number(address.split(':').at(-1)));
      const { client, close } = await connectClient(testTemporal());
      try {
        const queuePrefix = `test-${randomUUID()}`;
        const flags = ['--pools', 'io', '--queue-prefix', queuePrefix, '--blob-root', join(folder, 'blobs')];
        flags.push('--nats-url', nats.url);
        const first = await processes.start([...flags, '--address', `127.0.0.1:${proxy.port}`]);
        const flow = await client.workflow.start('runFlow', {
          taskQueue: `${queuePrefix}-io`,
          workflowId: `flow-${randomUUID()}`,
          args: [
            {
              flow: flowOf(
                'do: [{pause: {wait: PT3S}}, {get: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: none}}}]',
              ),
              tenant: 'told-once',
            },
          ],
        });
        await progressWhen(flow, ({ steps }) => steps.some(({ name }) => name === 'pause'));
        const told = async (count: number) => {
          const all = await messagesOf(nats.url, 'BEAMLINE_DLQ', 'beamline.dlq.told-once');
          return all.length >= count ? all.map(({ body }) => body) : undefined;
        };
        // What the worker says takes so long that it is gone before Temporal has heard of it.
        proxy.delayMs = 2_000;
        const [parked] = await eventually(() => told(1), 60_000);
        proxy.cut();
        await kill(first);
        // Begun, and not completed.
        expect((await flow.fetchHistory()).events?.at(-1)?.eventType).toBe(WORKFLOW_TASK_STARTED);
        await processes.start(flags);
        const letter = await eventually(async () => (await flow.query<DeadLetters>('deadLetters')).letters[0], 60_000);
        await flow.executeUpdate('resolve', { args: [{ id: letter.id, action: 'skip' }] });
        await flow.result();
        const all = (await eventually(() => told(2))).map(({ id }) => id);
        expect(all).toEqual([parked?.id, `${String(parked?.id)}:resolved`]);
        expect(parked?.id).toContain(letter.failureId);
      } finally {
        await close();
        await proxy.close();
      }
    }),
    180_000,
  );
});
