import pg from 'pg';
import { LEASE_MS } from '../../../src/worker/quota/lines';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import { CHANGE_MS } from '../../../src/worker/quota/space-rules';
import type { Asker } from '../../../src/worker/quota/tickets';
import { openPostgresStore } from '../../../src/worker/state/postgres-store';
import { CountingStore } from '../../helpers/counting-store';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../../helpers/postgres';

const NOW = 1_800_000_000_000;
const binaries = findPostgresBinaries();
const withPostgres = binaries === undefined ? describe.skip : describe;

withPostgres('renewal of leases in PostgreSQL', () => {
  let server: TestPostgres;
  let outsider: pg.Client;
  let watcher: pg.Client;
  let now: number;
  let store: CountingStore;
  let keeper: QuotaKeeper;

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    [outsider, watcher] = [server.url, server.url].map((connectionString) => new pg.Client({ connectionString })) as [
      pg.Client,
      pg.Client,
    ];
    await outsider.connect();
    await watcher.connect();
    await watcher.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public;');
    now = NOW;
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance'] });
    store = new CountingStore(openPostgresStore(server.url, () => now));
    keeper = new QuotaKeeper({
      store,
      worker: 'w',
      quotasOf: () => ({ concurrentSteps: 5 }),
      sender: { send: async () => ({ gone: [], missed: [] }), inform: async () => undefined },
      probe: async () => true,
      logger: { log: () => undefined },
    });
  });
  afterEach(async () => {
    await outsider.end();
    jest.useRealTimers();
    await keeper.close();
    await watcher.end();
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
  const rows = async (sql: string): Promise<unknown[]> => (await watcher.query(sql)).rows;
  /** Statements that wait for a lock. */
  const waiting = async (least: number): Promise<boolean> =>
    (await rows('SELECT 1 FROM pg_locks WHERE NOT granted')).length >= least;
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    while (!(await isSo())) await Promise.resolve();
  };

  test('does not bring back the lease of a step that ends meanwhile', async () => {
    expect(await keeper.ask(asker('acme'))).toBeUndefined();
    // As the end of the step does, in a transaction that takes its time.
    await outsider.query("BEGIN; DELETE FROM beamline_leases WHERE id = 'lease of acme'");
    jest.advanceTimersByTime(LEASE_MS / 4);
    await until(() => waiting(1));
    const settled = keeper.settle({ tenant: 'acme', id: 'a', attempt: 1, lease: 'lease of acme' });
    await outsider.query('COMMIT');
    await settled;
    await store.quiet();
    expect(await rows('SELECT id FROM beamline_leases')).toEqual([]);
  });

  test('makes a lease again that is gone while its step runs on', async () => {
    expect(await keeper.ask(asker('acme'))).toBeUndefined();
    await watcher.query('DELETE FROM beamline_leases');
    now += LEASE_MS;
    jest.advanceTimersByTime(LEASE_MS / 4);
    await store.quiet();
    expect(await rows('SELECT id, expires_at FROM beamline_leases')).toEqual([
      { id: 'lease of acme', expires_at: String(NOW + 2 * LEASE_MS) },
    ]);
  });

  test('goes on for others while rows of a tenant are locked', async () => {
    for (const tenant of ['acme', 'other']) {
      expect(await keeper.ask(asker(tenant))).toBeUndefined();
      expect(await keeper.space.begin({ tenant, bytes: 1 })).toMatchObject({ kind: 'count' });
    }
    await outsider.query("BEGIN; SELECT 1 FROM beamline_leases WHERE tenant = 'acme' FOR UPDATE");
    await outsider.query("SELECT 1 FROM beamline_blob_changes WHERE tenant = 'acme' FOR UPDATE");
    now += 1_000;
    jest.advanceTimersByTime(LEASE_MS / 4);
    await store.quiet();
    expect(await rows('SELECT tenant, expires_at FROM beamline_leases ORDER BY tenant')).toEqual([
      { tenant: 'acme', expires_at: String(NOW + LEASE_MS) },
      { tenant: 'other', expires_at: String(NOW + 1_000 + LEASE_MS) },
    ]);
    expect(await rows('SELECT tenant, expires_at FROM beamline_blob_changes ORDER BY tenant')).toEqual([
      { tenant: 'acme', expires_at: String(NOW + CHANGE_MS) },
      { tenant: 'other', expires_at: String(NOW + 1_000 + CHANGE_MS) },
    ]);
  }, 20_000);
});
