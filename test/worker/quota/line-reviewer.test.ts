import type { Quotas } from '../../../src/worker/policy/policy';
import { pruneExpired } from '../../../src/worker/quota/lease-rules';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import type { Asker } from '../../../src/worker/quota/tickets';
import { DUTY_MS } from '../../../src/worker/state/duties';
import { query } from '../../../src/worker/state/rule';
import { StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { CountingStore } from '../../helpers/counting-store';
import { storeKinds } from '../../helpers/state-stores';

const NOW = 1_800_000_000_000;
const INTERVAL_MS = 2_000;
const TENANTS = 20;

describe.each(storeKinds())('review of lines by several workers, in $name', (kind) => {
  let now: number;
  let quotas: Quotas;
  let offered: string[];
  /** A worker that reaches the store, and no flow. */
  let deaf: string | undefined;
  let workers: { name: string; keeper: QuotaKeeper; store: CountingStore }[];

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    now = NOW;
    quotas = { concurrentSteps: 1 };
    offered = [];
    deaf = undefined;
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance'] });
    workers = ['w1', 'w2', 'w3'].map(startWorker);
  });
  afterEach(async () => {
    jest.useRealTimers();
    for (const { keeper } of workers) await keeper.close();
  });

  function startWorker(worker: string): (typeof workers)[number] {
    const store = new CountingStore(kind.open(() => now));
    const keeper = new QuotaKeeper({
      store,
      worker,
      quotasOf: () => quotas,
      sender: {
        send: async (_, offers) => {
          const tickets = offers.map(({ ticket }) => ticket);
          if (deaf === worker) return { gone: [], missed: tickets };
          offered.push(...tickets);
          return { gone: [], missed: [] };
        },
        inform: async () => undefined,
      },
      probe: async () => true,
      logger: { log: () => undefined },
    });
    return { name: worker, keeper, store };
  }

  const asker = (tenant: string, name: string): Asker => ({
    tenant,
    kind: 'step',
    ticket: `ticket ${name}`,
    lease: `lease ${name}`,
    worker: 'elsewhere',
    namespace: 'default',
    flowId: name,
    priority: 3,
  });

  /** Each of the tenants has one step that runs, and one that waits for its end. */
  async function fillLines(): Promise<void> {
    const [first] = workers;
    for (let index = 0; index < TENANTS; index += 1) {
      const tenant = `t${index}`;
      expect(await first?.keeper.ask(asker(tenant, `${tenant}-runs`))).toBeUndefined();
      expect(await first?.keeper.ask(asker(tenant, `${tenant}-waits`))).toMatchObject({ reason: 'concurrentSteps' });
    }
    for (const { store } of workers) store.writes.splice(0);
  }

  async function passInterval(): Promise<void> {
    now += INTERVAL_MS;
    jest.advanceTimersByTime(INTERVAL_MS);
    for (const { store } of workers) await store.quiet();
  }

  async function dutyHolders(): Promise<unknown[]> {
    const store = kind.open(() => now);
    const rows = await store.run(() => query('SELECT holder FROM beamline_duties'));
    await store.close();
    return rows.map(({ holder }) => holder);
  }

  const written = (): string[] => workers.flatMap(({ store }) => store.writes.splice(0));

  test('what finds nothing to change writes nothing but whose duty it is', async () => {
    await fillLines();
    const counts: number[] = [];
    for (let interval = 0; interval < 12; interval += 1) {
      await passInterval();
      // Leases of steps are renewed by who runs them.
      counts.push(written().filter((sql) => sql !== 'UPDATE beamline_leases SET').length);
    }
    // Before one worker did it for all: 60, for 3 workers and 20 lines.
    const [first, ...others] = counts;
    // All may try for it at first.
    expect(first).toBeLessThanOrEqual(workers.length);
    expect(others).toEqual([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]);
  });

  test('where nobody waits nothing is written at all', async () => {
    for (let interval = 0; interval < 12; interval += 1) await passInterval();
    expect(written()).toEqual([]);
  });

  test('another worker takes over when nothing is heard of the one that did it', async () => {
    await fillLines();
    for (let interval = 0; interval < 3; interval += 1) await passInterval();
    const [holder] = await dutyHolders();
    workers.find(({ name }) => name === holder)?.store.cut();
    quotas = { concurrentSteps: 2 };
    await passInterval();
    expect(offered).toEqual([]);
    while (now < NOW + 3 * INTERVAL_MS + DUTY_MS) await passInterval();
    expect(offered).toHaveLength(TENANTS);
    const [next] = await dutyHolders();
    expect([next === holder, workers.map(({ name }) => name).includes(String(next))]).toEqual([false, true]);
  });

  test('a worker that stops leaves it to the next at once', async () => {
    await fillLines();
    await passInterval();
    const [holder] = await dutyHolders();
    await workers.find(({ name }) => name === holder)?.keeper.close();
    workers = workers.filter(({ name }) => name !== holder);
    expect(await dutyHolders()).toEqual([]);
    quotas = { concurrentSteps: 2 };
    await passInterval();
    expect(offered).toHaveLength(TENANTS);
  });

  test('a worker that does not reach the flows leaves it to another, who tells them all', async () => {
    await fillLines();
    await passInterval();
    const [holder] = await dutyHolders();
    deaf = String(holder);
    quotas = { concurrentSteps: 2 };
    await passInterval();
    expect([offered, await dutyHolders()]).toEqual([[], []]);
    await passInterval();
    expect(new Set(offered).size).toBe(TENANTS);
    const [next] = await dutyHolders();
    expect([next === holder, workers.map(({ name }) => name).includes(String(next))]).toEqual([false, true]);
    // Nor does it come back while another lives.
    for (let interval = 0; interval < 20; interval += 1) await passInterval();
    expect(await dutyHolders()).toEqual([next]);
  });

  test('one that is alone takes it again after a while', async () => {
    await fillLines();
    await passInterval();
    const [holder] = await dutyHolders();
    for (const { name, keeper } of workers) if (name !== holder) await keeper.close();
    workers = workers.filter(({ name }) => name === holder);
    deaf = String(holder);
    quotas = { concurrentSteps: 2 };
    await passInterval();
    deaf = undefined;
    for (let interval = 0; interval < DUTY_MS / INTERVAL_MS; interval += 1) await passInterval();
    expect(new Set(offered).size).toBe(TENANTS);
  });

  test('a line of steps gets all the times that its quota has, however many these are', async () => {
    const perSecond = 500;
    quotas = { concurrentSteps: 0 };
    const [first] = workers;
    const names = Array.from({ length: 2 * perSecond + 10 }, (_, index) => `s${index}`);
    for (const name of names) await first?.keeper.ask(asker('acme', name));
    quotas = { stepsPerSecond: perSecond };
    // Times are given out for ten seconds; it takes two of them.
    await passInterval();
    expect(offered).toEqual(names.map((name) => `ticket ${name}`));
  }, 30_000);

  test('what cannot be removed for a lock is removed at the next review', async () => {
    let prunes = 0;
    let isLocked = true;
    for (const { store } of workers) {
      const run = store.run.bind(store);
      store.run = async (rule, options) => {
        if ((rule as unknown) !== pruneExpired) return await run(rule, options);
        prunes += 1;
        if (isLocked) throw new StateStoreUnavailable(new Error('a lock was not free in time'), 'call');
        return await run(rule, options);
      };
    }
    while (prunes === 0) await passInterval();
    expect(prunes).toBe(workers.length);
    isLocked = false;
    await passInterval();
    await passInterval();
    expect(prunes).toBe(2 * workers.length);
  });
});
