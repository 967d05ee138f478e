import type { Quotas } from '../../../src/worker/policy/policy';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import { type Settlement, settleAttempts } from '../../../src/worker/quota/settle-rules';
import { SettleGroup, settleNowOrTogether } from '../../../src/worker/quota/settle-together';
import { query, type StateValue } from '../../../src/worker/state/rule';
import { type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';
import { eventually } from '../../helpers/test-worker';

const BUSY = new StateStoreUnavailable(new Error('a lock was not free in time'), 'call');

const matches = (found: object | undefined, expected: object): boolean =>
  Object.entries(expected).every(([key, value]) =>
    Object.entries(found ?? {}).some(([k, v]) => k === key && v === value),
  );

describe.each(storeKinds())('attempts that share an activity in $name', (kind) => {
  let store: StateStore;
  let keeper: QuotaKeeper;
  let quotas: Quotas;
  let calls: number;
  let isBusy: boolean;
  let held: Promise<void> | undefined;

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    quotas = {};
    calls = 0;
    isBusy = false;
    held = undefined;
    store = kind.open(Date.now);
    keeper = new QuotaKeeper({
      worker: 'w',
      store: {
        run: async (rule, options) => {
          calls += 1;
          await held;
          if (isBusy) throw BUSY;
          return await store.run(rule, options);
        },
        close: async () => undefined,
      },
      quotasOf: () => quotas,
      sender: { send: async () => ({ gone: [], missed: [] }), inform: async () => undefined },
      probe: async () => true,
      logger: { log: () => undefined },
    });
  });
  afterEach(async () => {
    await keeper.close();
    await store.close();
  });

  /** Waits until that is counted: a group waits for a slow store only briefly. */
  const untilCounted = async (...expected: readonly object[]) => {
    const rows = await eventually(async () => {
      const found = await counted();
      return expected.every((row, index) => matches(found[index], row)) ? found : undefined;
    });
    expect(rows).toHaveLength(expected.length);
  };
  /** Lets the store answer nobody until what it gives is called. */
  const holdStore = (): (() => void) => {
    let release = (): void => undefined;
    held = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  };
  const attempt = (id: string, more: Partial<Settlement> = {}): Settlement => ({
    tenant: 'acme',
    id,
    attempt: 1,
    end: 'completed',
    usage: { cpuMs: 2, peakMemoryBytes: id.length, bytesIn: 10, bytesOut: 20 },
    ...more,
  });
  /** Makes attempts, with what they settle, as one local activity of the tenant. */
  const together = async <T>(
    work: (settle: (...attempts: readonly Settlement[]) => Promise<unknown>) => T | Promise<T>,
  ) => {
    const group = new SettleGroup(keeper, 'acme');
    try {
      return await work((...attempts) => Promise.all(attempts.map((one) => settleNowOrTogether(keeper, one, group))));
    } finally {
      await group.end();
    }
  };
  const counted = () =>
    store.run(() =>
      query('SELECT steps, failures, cpu_ms, peak_memory_bytes, bytes_in, bytes_out FROM beamline_usage'),
    );

  test('are counted at its end, all in one transaction', async () => {
    const during = await together(async (settle) => {
      await settle(attempt('a'), attempt('bcd'), attempt('e', { end: 'failed' }), attempt('f', { end: 'none' }));
      return [calls, await counted()];
    });
    expect(during).toEqual([0, []]);
    const sums = { cpu_ms: 8, peak_memory_bytes: 3, bytes_in: 40, bytes_out: 80 };
    await untilCounted({ steps: 2, failures: 1, ...sums });
    expect(calls).toBe(1);
  });

  test('count as they would alone where they are made again, whose ends are others then', async () => {
    const run = (...attempts: readonly Settlement[]) => together((settle) => settle(...attempts));
    await run(attempt('a'), attempt('b'), attempt('c', { end: 'failed' }));
    await untilCounted({ steps: 2, failures: 1 });
    await run(attempt('c', { attempt: 2 }), attempt('b', { attempt: 2, end: 'failed' }), attempt('d'));
    const sums = { cpu_ms: 12, peak_memory_bytes: 1, bytes_in: 60, bytes_out: 120 };
    await untilCounted({ steps: 3, failures: 1, ...sums });
  });

  test('have their rows in one order, whatever ended first, so that two reports of them never wait for each other', () => {
    const idsOf = (...ids: readonly string[]) => {
      const rows: StateValue[] = [];
      const rule = settleAttempts(
        'acme',
        ids.map((id) => attempt(id)),
        { id: 'charge', isRepeat: false },
      );
      for (let step = rule.next(); step.done !== true; step = rule.next([])) {
        const { sql, values } = step.value;
        // Three values a row, the id first.
        if (sql.startsWith('INSERT INTO beamline_counted')) rows.push(...values.filter((_, index) => index % 3 === 0));
      }
      return rows;
    };
    expect(idsOf('c', 'a', 'b')).toEqual(['a', 'b', 'c']);
    expect(idsOf('b', 'c', 'a')).toEqual(['a', 'b', 'c']);
  });

  test('hold up the answers of all only briefly where the store is slow, and are written all the same', async () => {
    const held = holdStore();
    await together((settle) => settle(attempt('a'), attempt('b')));
    expect(await counted()).toEqual([]);
    held();
    await keeper.close();
    expect(await counted()).toMatchObject([{ steps: 2 }]);
  });

  test('are counted also where the activity fails, and one that ends after it by itself', async () => {
    let endLate = (): void => undefined;
    let late: Promise<unknown> | undefined;
    const failing = together(async (settle) => {
      late = new Promise<void>((resolve) => {
        endLate = resolve;
      }).then(() => settle(attempt('late')));
      await settle(attempt('a'));
      throw new Error('the activity');
    });
    await expect(failing).rejects.toThrow('the activity');
    await untilCounted({ steps: 1 });
    endLate();
    await late;
    await untilCounted({ steps: 2, cpu_ms: 4 });
  });

  test.each<[string, Quotas, Partial<Settlement>]>([
    ['a place', { concurrentSteps: 1 }, { lease: 'l' }],
    ['CPU time', { cpuTime: { maxMs: 1_000, windowMs: 60_000 } }, {}],
  ])('give back at once what others may wait for: %s', async (_, limits, more) => {
    quotas = limits;
    await together(async (settle) => {
      await settle(attempt('a', more));
      expect(await counted()).toMatchObject([{ steps: 1, cpu_ms: 2 }]);
    });
    expect(calls).toBe(1);
  });

  test('tell nothing where there is nothing to tell', async () => {
    await together(async (settle) => {
      const usage = { cpuMs: 0, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 };
      await settle({ tenant: 'acme', id: 'a', attempt: 1, usage });
    });
    expect(calls).toBe(0);
  });

  test('are counted once the store is back', async () => {
    isBusy = true;
    await together((settle) => settle(attempt('a'), attempt('b')));
    expect(await counted()).toEqual([]);
    isBusy = false;
    await keeper.close();
    expect(await counted()).toMatchObject([{ steps: 2, cpu_ms: 4 }]);
  });
});
