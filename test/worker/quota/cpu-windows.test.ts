import type { Quotas } from '../../../src/worker/policy/policy';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import type { Asker } from '../../../src/worker/quota/tickets';
import { storeKinds } from '../../helpers/state-stores';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

describe.each(storeKinds())('CPU time of windows in $name', (kind) => {
  let now: number;
  let quotas: Quotas;
  let keeper: QuotaKeeper;
  let count: number;

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    now = Date.UTC(2026, 10, 28, 9, 30);
    quotas = {};
    count = 0;
    keeper = new QuotaKeeper({
      store: kind.open(() => now),
      worker: 'w',
      quotasOf: () => quotas,
      sender: { send: async () => ({ gone: [], missed: [] }), inform: async () => undefined },
      probe: async () => true,
      logger: { log: () => undefined },
    });
  });
  afterEach(() => keeper.close());

  /** A step that runs, and uses so much; undefined where it may. */
  async function run(cpuMs: number): Promise<string | undefined> {
    count += 1;
    const name = `s${count}`;
    const asker: Asker = {
      tenant: 'acme',
      kind: 'step',
      ticket: name,
      lease: name,
      worker: 'w',
      namespace: 'default',
      flowId: name,
      priority: 3,
    };
    if (quotas.cpuTime !== undefined) {
      const wait = await keeper.ask(asker);
      if (wait !== undefined) return wait.reason;
    }
    const usage = { cpuMs, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 };
    await keeper.settle({ tenant: 'acme', id: name, attempt: 1, end: 'completed', usage });
    return undefined;
  }
  const limit = (maxMs: number, windowMs: number): void => {
    quotas = { cpuTime: { maxMs, windowMs } };
  };

  test('a quota that is new counts what was used in the days of its window', async () => {
    expect(await run(300)).toBeUndefined();
    now += HOUR_MS;
    expect(await run(300)).toBeUndefined();
    limit(600, DAY_MS);
    expect(await run(1)).toBe('cpuTime');
    limit(601, DAY_MS);
    expect([await run(1), await run(1)]).toEqual([undefined, 'cpuTime']);
    now += DAY_MS;
    expect([await run(601), await run(1)]).toEqual([undefined, 'cpuTime']);
    // Weeks begin on Thursdays, as 1970 did: 2026-11-26.
    limit(1_202, 7 * DAY_MS);
    expect(await run(1)).toBe('cpuTime');
    limit(1_203, 7 * DAY_MS);
    expect([await run(1), await run(1)]).toEqual([undefined, 'cpuTime']);
  });

  test.each([DAY_MS, HOUR_MS])(
    'one of %d ms that is taken away and given again counts what was used meanwhile',
    async (ms) => {
      limit(100, ms);
      expect(await run(50)).toBeUndefined();
      quotas = {};
      expect(await run(50)).toBeUndefined();
      limit(100, ms);
      expect(await run(1)).toBe('cpuTime');
      limit(101, ms);
      expect([await run(1), await run(1)]).toEqual([undefined, 'cpuTime']);
    },
  );

  test('one of days counts the whole day, also where one of hours began with it', async () => {
    expect(await run(300)).toBeUndefined();
    // Since midnight, too.
    limit(100, 12 * HOUR_MS);
    expect(await run(50)).toBeUndefined();
    limit(350, DAY_MS);
    expect(await run(1)).toBe('cpuTime');
    limit(351, DAY_MS);
    expect([await run(1), await run(1)]).toEqual([undefined, 'cpuTime']);
    // What is known of the day is not forgotten by one of hours that began with it.
    limit(351, 12 * HOUR_MS);
    expect(await run(1)).toBe('cpuTime');
  });

  test('one of another length than days begins with nothing, and is exact from then on', async () => {
    expect(await run(300)).toBeUndefined();
    limit(100, HOUR_MS);
    expect([await run(100), await run(1)]).toEqual([undefined, 'cpuTime']);
    now += HOUR_MS;
    expect([await run(100), await run(1)]).toEqual([undefined, 'cpuTime']);
  });

  test('a window is passed by the steps that run at its end, and by no other', async () => {
    limit(10, DAY_MS);
    const asked = ['a', 'b', 'c'].map((name) => ({
      tenant: 'acme',
      kind: 'step' as const,
      ticket: name,
      lease: name,
      worker: 'w',
      namespace: 'default',
      flowId: name,
      priority: 3,
    }));
    for (const asker of asked) expect(await keeper.ask(asker)).toBeUndefined();
    for (const { lease } of asked) {
      const usage = { cpuMs: 10, peakMemoryBytes: 0, bytesIn: 0, bytesOut: 0 };
      await keeper.settle({ tenant: 'acme', id: lease, attempt: 1, end: 'completed', usage });
      expect(await run(1)).toBe('cpuTime');
    }
  });
});
