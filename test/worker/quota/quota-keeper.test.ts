import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Quotas } from '../../../src/worker/policy/policy';
import { findEnded } from '../../../src/worker/quota/flow-probe';
import { LEASE_MS, lockTenant } from '../../../src/worker/quota/lines';
import { Outage, storeRetryMs } from '../../../src/worker/quota/outage';
import { prune } from '../../../src/worker/quota/prune';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import type { Asker } from '../../../src/worker/quota/tickets';
import { execute, query, type Rule } from '../../../src/worker/state/rule';
import { isOutOfReach, type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';

const NOW = 1_800_000_000_000;
const OUT = new StateStoreUnavailable(new Error('no connection'));
const BUSY = new StateStoreUnavailable(new Error('a lock was not free in time'), 'call');

describe('a store that is out of reach', () => {
  test('is tried once a second, and is back with the first write', async () => {
    let now = 0;
    const outage = new Outage(() => now);
    const fail = (error: Error) => outage.watch(() => Promise.reject(error)).catch(() => undefined);
    expect(outage.allowsTry()).toBe(true);
    await fail(OUT);
    now = 999;
    expect(outage.allowsTry()).toBe(false);
    now = 1_000;
    expect([outage.allowsTry(), outage.allowsTry()]).toEqual([true, false]);
    await fail(OUT);
    now = 2_000;
    expect(outage.allowsTry()).toBe(true);
    await outage.watch(() => Promise.resolve(), { isReading: true });
    expect([outage.isOut, outage.allowsTry()]).toEqual([true, false]);
    await outage.watch(() => Promise.resolve());
    expect([outage.isOut, outage.allowsTry(), outage.allowsTry()]).toEqual([false, true, true]);
  });

  test.each([
    ['a lock of one tenant', BUSY],
    ['an error of the program', new TypeError('no such thing')],
  ])('%s does not count as that', async (_, error) => {
    const outage = new Outage();
    await expect(outage.watch(() => Promise.reject(error))).rejects.toBe(error);
    expect(outage.isOut).toBe(false);
  });

  test.each([
    [0, 5_000, 7_500],
    [20_000, 20_000, 30_000],
    [3_600_000, 80_000, 120_000],
  ])('who has waited for %d ms asks again after %d to %d ms, not all at once', (waitedMs, least, most) => {
    const delays = Array.from({ length: 100 }, (_, index) => storeRetryMs(`run:${index}`, waitedMs));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...delays)).toBeLessThanOrEqual(most);
    expect(new Set(delays).size).toBeGreaterThan(90);
    expect(storeRetryMs('run:0', waitedMs)).toBe(delays[0]);
  });
});

describe.each(storeKinds())('keeper of quotas in $name', (kind) => {
  let store: StateStore;
  let now: number;
  let failure: ((rule: string) => Promise<never> | undefined) | undefined;
  let calls: number;
  let lines: string[];
  let told: string[];
  let isOpen: (flow: { flowId: string }) => boolean;
  let keeper: QuotaKeeper;
  let quotas: Quotas;
  const QUOTAS: Quotas = { concurrentSteps: 1, cpuTime: { maxMs: 1_000_000, windowMs: 60_000 } };

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    now = NOW;
    failure = undefined;
    calls = 0;
    lines = [];
    told = [];
    isOpen = () => true;
    quotas = QUOTAS;
    store = kind.open(() => now);
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance'] });
    keeper = new QuotaKeeper({
      store: {
        run: async (rule, options) => {
          calls += 1;
          return (await failure?.(String(rule))) ?? (await store.run(rule, options));
        },
        close: async () => undefined,
      },
      worker: 'w',
      quotasOf: () => quotas,
      sender: {
        send: async (_, offers) => {
          told.push(...offers.map(({ ticket }) => ticket));
          return { gone: [], missed: [] };
        },
        inform: async () => undefined,
      },
      probe: async (flow) => isOpen(flow),
      logger: { log: (_level, message) => void lines.push(message) },
    });
  });
  afterEach(async () => {
    jest.useRealTimers();
    await keeper.close();
    await store.close();
  });

  const asker = (tenant: string): Asker => ({
    tenant,
    kind: 'step',
    ticket: `ticket of ${tenant}`,
    lease: `lease of ${tenant}`,
    worker: 'w',
    namespace: 'default',
    flowId: 'flow',
    priority: 3,
  });

  test('what fails for one tenant turns no other away', async () => {
    failure = () => Promise.reject(BUSY);
    expect(await keeper.ask(asker('acme'))).toMatchObject({ reason: 'store' });
    failure = undefined;
    expect(await keeper.ask(asker('other'))).toBeUndefined();
  });

  test('a store that is out of reach is not asked by everybody', async () => {
    failure = () => Promise.reject(OUT);
    for (const tenant of ['a', 'b', 'c']) expect(await keeper.ask(asker(tenant))).toMatchObject({ reason: 'store' });
    expect(calls).toBe(1);
  });

  test('a report that the store will never take is dropped, and one whose row is locked is written later', async () => {
    const used = { cpuMs: 1, peakMemoryBytes: 1, bytesIn: 1, bytesOut: 1 };
    failure = () => Promise.reject(new TypeError('a value that cannot be kept'));
    await keeper.settle({ tenant: 'acme', id: 'a', attempt: 1, end: 'completed', usage: used });
    failure = () => Promise.reject(BUSY);
    await keeper.settle({ tenant: 'acme', id: 'b', attempt: 1, end: 'completed', usage: used });
    failure = undefined;
    jest.useRealTimers();
    await keeper.close();
    expect(lines).toContain('a report was dropped: the state store cannot take it');
    expect(await store.run(() => query('SELECT steps, cpu_ms FROM beamline_usage'))).toEqual([{ steps: 1, cpu_ms: 1 }]);
  });

  test('a worker that stops does not wait for ever for what hangs', async () => {
    failure = () => new Promise<never>(() => undefined);
    const settled = keeper.settle({ tenant: 'acme', id: 'a', attempt: 1, end: 'completed' });
    await jest.advanceTimersByTimeAsync(2_000);
    await settled;
    const closing = keeper.close();
    await jest.advanceTimersByTimeAsync(10_000);
    await closing;
    expect(lines).toContain('the state store does not answer; steps of tenants with quotas wait');
  });

  test('whose turn it is hears of it from an answer that comes too late', async () => {
    const named = (name: string): Asker => ({ ...asker('acme'), ticket: name, lease: `lease ${name}` });
    for (const name of ['runs', 'waits']) await keeper.ask(named(name));
    await store.run(() => execute("DELETE FROM beamline_leases WHERE id = 'lease runs'"));
    const late = delayAnswers();
    const asked = keeper.ask(named('asks'));
    await late.arrived;
    jest.advanceTimersByTime(2_000);
    expect([await asked, told]).toMatchObject([{ reason: 'store' }, []]);
    late.pass();
    await late.passed;
    expect(told).toEqual(['waits']);
  });

  test('who waits for room hears of it from an answer that comes too late', async () => {
    quotas = { blobBytes: 10 };
    await store.run(function* () {
      yield* lockTenant('acme');
      yield* execute('UPDATE beamline_tenants SET blob_bytes = 10');
    });
    const first = { ...asker('acme'), ticket: 'first' };
    expect(await keeper.awaitSpace(first, 5)).toMatchObject({ reason: 'blobBytes' });
    await store.run(() => execute('UPDATE beamline_tenants SET blob_bytes = 0'));
    const late = delayAnswers();
    const asked = keeper.awaitSpace({ ...asker('acme'), ticket: 'second' }, 5);
    await late.arrived;
    jest.advanceTimersByTime(2_000);
    expect([await asked, told]).toMatchObject([{ reason: 'store' }, []]);
    late.pass();
    await late.passed;
    expect(told).toEqual(['first', 'second']);
  });

  /** The store does what the next call asks, and its answer is held back. */
  function delayAnswers(): { arrived: Promise<void>; pass: () => void; passed: Promise<void> } {
    let arrive = (): void => undefined;
    let pass = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const free = new Promise<void>((resolve) => {
      pass = resolve;
    });
    const run = store.run.bind(store);
    store.run = async (rule, options) => {
      store.run = run;
      const result = await run(rule, options);
      arrive();
      await free;
      return result;
    };
    const passed = free.then(async () => await nextTurn());
    return { arrived, pass: () => pass(), passed };
  }

  test('a review finds out by a write whether a store is back', async () => {
    failure = (rule) => (rule.includes('surveyLines') ? undefined : Promise.reject(OUT));
    expect(await keeper.ask(asker('acme'))).toMatchObject({ reason: 'store' });
    failure = undefined;
    const written = new Promise<void>((resolve) => {
      const run = store.run.bind(store);
      store.run = async (rule, options) => {
        const result = await run(rule, options);
        if (String(rule).includes('tryWrite')) resolve();
        return result;
      };
    });
    jest.advanceTimersByTime(2_000);
    await written;
    await nextTurn();
    expect(await keeper.ask(asker('acme'))).toBeUndefined();
  });

  test('leases are renewed while a review hangs', async () => {
    expect(await keeper.ask(asker('acme'))).toBeUndefined();
    let free = (): void => undefined;
    const hangs = new Promise<void>((resolve) => {
      free = resolve;
    });
    failure = (rule) => (rule.includes('surveyLines') ? hangs.then(() => Promise.reject(OUT)) : undefined);
    const renewed = new Promise<void>((resolve) => {
      const run = store.run.bind(store);
      store.run = async (rule, options) => {
        const result = await run(rule, options);
        if (String(rule).includes('renewLeases')) resolve();
        return result;
      };
    });
    now += LEASE_MS - 1;
    jest.advanceTimersByTime(LEASE_MS / 2);
    await renewed;
    free();
    expect(await store.run(() => query('SELECT expires_at FROM beamline_leases'))).toEqual([
      { expires_at: NOW + 2 * LEASE_MS - 1 },
    ]);
  });

  test('a flow about which nobody answers keeps no other waiting, and counts as open', async () => {
    const leases = ['a', 'hangs', 'fails', 'b'].map((id) => ({ id, tenant: 'acme', namespace: 'n', flow_id: id }));
    const ended = findEnded(
      async ({ flowId }) => {
        if (flowId === 'fails') throw new Error('no connection');
        return flowId === 'hangs' ? await new Promise<boolean>(() => undefined) : false;
      },
      leases,
      { log: () => undefined },
    );
    // What answers has answered by then.
    await jest.advanceTimersByTimeAsync(60_000);
    expect((await ended).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('flows that were ended by force give their places back, however many they are', async () => {
    quotas = { flows: 100 };
    isOpen = ({ flowId }) => flowId === 'open';
    const places = Array.from({ length: 50 }, (_, index) => `flow:${index}`);
    for (const place of [...places, 'flow:open']) {
      const flow: Asker = { ...asker('acme'), kind: 'flow', ticket: place, lease: place, flowId: place.slice(5) };
      expect(await keeper.ask(flow)).toBeUndefined();
    }
    now += 60_001;
    jest.advanceTimersByTime(10_000);
    const left = () => store.run(() => query('SELECT id FROM beamline_leases ORDER BY id'));
    // Nothing is asked that would wait for a timer.
    while ((await left()).length > 1) await nextTurn();
    expect(await left()).toEqual([{ id: 'flow:open' }]);
  });

  test('all that has expired is removed, in several rounds', async () => {
    await store.run(function* () {
      yield* execute(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
           INSERT INTO beamline_counted (id, outcome, attempt, counted_at) SELECT 'x' || i, 'completed', 1, i FROM n`,
      );
      yield* execute(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
           INSERT INTO beamline_charged (id, charged_at) SELECT 'x' || i, i FROM n`,
      );
    });
    let rounds = 0;
    const run = (rule: () => Rule<boolean>): Promise<boolean> => {
      rounds += 1;
      return store.run(rule);
    };
    expect([await prune(run), rounds]).toEqual([true, 3]);
    expect(await store.run(() => query('SELECT id FROM beamline_counted'))).toEqual([]);
    expect(await store.run(() => query('SELECT id FROM beamline_charged'))).toEqual([]);
    rounds = 0;
    const never = async (): Promise<boolean> => {
      rounds += 1;
      return false;
    };
    expect([await prune(never), rounds]).toEqual([false, 20]);
  });

  test('a rule that is wrong is no outage', async () => {
    const wrong = store.run(() => execute('INSERT INTO beamline_state (version) VALUES (NULL)'));
    await expect(wrong).rejects.not.toBeInstanceOf(StateStoreUnavailable);
    if (kind.name !== 'PostgreSQL') return;
    const stopped = store.run(function* () {
      yield* execute('SET LOCAL statement_timeout TO 1');
      yield* query('SELECT pg_sleep(10)::text');
    });
    const error = await stopped.catch((cause: unknown) => cause);
    expect([error instanceof StateStoreUnavailable, isOutOfReach(error)]).toEqual([true, false]);
  });
});
