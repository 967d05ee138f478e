import type { Quotas } from '../../../src/worker/policy/policy';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import { ReportBacklog } from '../../../src/worker/quota/report-backlog';
import { openPostgresStore } from '../../../src/worker/state/postgres-store';
import { query, type StateRow } from '../../../src/worker/state/rule';
import { type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { chargeOnce } from '../../../src/worker/usage/usage-rules';
import { CommitProxy, type Cut } from '../../helpers/commit-proxy';
import { CountingStore } from '../../helpers/counting-store';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../../helpers/postgres';

const NOW = 1_800_000_000_000;
const FLUSH_MS = 2_000;
const USED = { cpuMs: 10, peakMemoryBytes: 100, bytesIn: 20, bytesOut: 30 };

describe('usage that waits for the store', () => {
  const entry = (tenant: string, index: number) => ({ tenant, index });

  test('is written by tenants in turn, each in order; whose store is locked holds up no other, and is tried once', async () => {
    const backlog = new ReportBacklog<ReturnType<typeof entry>>(() => undefined);
    for (const index of [1, 2, 3]) backlog.add(entry('locked', index));
    for (const index of [1, 2]) backlog.add(entry('acme', index));
    backlog.add(entry('other', 1));
    const tried: string[] = [];
    const write = async ({ tenant, index }: ReturnType<typeof entry>) => {
      tried.push(`${tenant} ${index}`);
      return tenant === 'locked' ? { entry: entry(tenant, index), isOut: false } : undefined;
    };
    await backlog.flush(write, 60_000);
    expect([tried, backlog.size]).toEqual([['locked 1', 'acme 1', 'other 1', 'acme 2'], 3]);
    await backlog.flush(write, 60_000);
    expect([tried.slice(4), backlog.size]).toEqual([['locked 1'], 3]);
    await backlog.flush(write, 0);
    expect(tried).toHaveLength(5);
  });

  test('is left alone once the store is out of reach', async () => {
    const backlog = new ReportBacklog<ReturnType<typeof entry>>(() => undefined);
    for (const tenant of ['a', 'b']) backlog.add(entry(tenant, 1));
    let tries = 0;
    await backlog.flush(async (tried) => {
      tries += 1;
      return { entry: tried, isOut: true };
    }, 60_000);
    expect([tries, backlog.size]).toEqual([1, 2]);
  });

  test('is dropped of who has most', async () => {
    const dropped: number[] = [];
    const backlog = new ReportBacklog<ReturnType<typeof entry>>((count) => void dropped.push(count));
    backlog.add(entry('small', 1));
    for (let index = 0; index < 10_004; index += 1) backlog.add(entry('large', index));
    const written: Record<string, number> = {};
    await backlog.flush(async ({ tenant, index }) => {
      written[tenant] ??= index;
      return undefined;
    }, 60_000);
    expect([written, dropped]).toEqual([{ small: 1, large: 5 }, [5]]);
  });
});

const binaries = findPostgresBinaries();
const withPostgres = binaries === undefined ? describe.skip : describe;

withPostgres('reports to PostgreSQL over connections that break', () => {
  let server: TestPostgres;
  let proxy: CommitProxy;
  let store: CountingStore;
  let direct: StateStore;
  let keeper: QuotaKeeper;
  const quotas: Quotas = { concurrentSteps: 5, cpuTime: { maxMs: 1_000_000, windowMs: 60_000 } };

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    proxy = await CommitProxy.start(server.port);
    direct = openPostgresStore(server.url, () => NOW);
    store = new CountingStore(openPostgresStore(proxy.through(server.url), () => NOW));
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance'] });
    keeper = new QuotaKeeper({
      store,
      worker: 'w',
      quotasOf: (tenant) => (tenant.startsWith('free') ? {} : quotas),
      sender: { send: async () => ({ gone: [], missed: [] }), inform: async () => undefined },
      probe: async () => true,
      logger: { log: () => undefined },
    });
  });
  afterEach(async () => {
    jest.useRealTimers();
    await keeper.close();
    await direct.close();
    await proxy.close();
  });

  const rows = (table: string, columns: string, tenant: string): Promise<readonly StateRow[]> =>
    direct.run(() => query(`SELECT ${columns} FROM beamline_${table} WHERE tenant = ?`, tenant));

  test.each<[string, Cut]>([
    ['acme', 'after COMMIT'],
    ['acme', 'before COMMIT'],
    ['free', 'after COMMIT'],
    ['free', 'before COMMIT'],
  ])('what a step of tenant %s used is charged once where one breaks %s', async (name, cut) => {
    const tenant = `${name}-${cut.replace(' ', '-')}`;
    const steps = 6;
    for (let step = 0; step < steps; step += 1) {
      proxy.cutNext(cut, 'beamline_usage');
      // Some attempts have no end: they are made again.
      const end = step % 3 === 0 ? {} : { end: 'completed' as const };
      await keeper.settle({ tenant, id: `${tenant}:s${step}`, attempt: 1, usage: USED, ...end });
      await store.quiet();
      expect(proxy.lost).toBe(step + 1);
      // Written once more, and then the one after, without a break.
      jest.advanceTimersByTime(FLUSH_MS);
      await store.quiet();
      await keeper.settle({ tenant, id: `${tenant}:t${step}`, attempt: 1, usage: USED, end: 'completed' });
      await store.quiet();
    }
    const all = 2 * steps;
    expect(await rows('usage', 'steps, cpu_ms, bytes_in, bytes_out', tenant)).toEqual([
      { steps: all - steps / 3, cpu_ms: all * 10, bytes_in: all * 20, bytes_out: all * 30 },
    ]);
    const windows = await rows('tenants', 'cpu_used_ms', tenant);
    expect(windows).toEqual(name === 'free' ? [] : [{ cpu_used_ms: all * 10 }]);
  });

  test('a first report that arrives after its own repeat is refused', async () => {
    const charge = 'charge';
    expect(await direct.run(() => chargeOnce({ id: charge, isRepeat: true }))).toBe(true);
    const late = direct.run(() => chargeOnce({ id: charge, isRepeat: false }));
    await expect(late).rejects.not.toBeInstanceOf(StateStoreUnavailable);
    expect(await direct.run(() => chargeOnce({ id: charge, isRepeat: true }))).toBe(false);
  });
});
