import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { lockTenant } from '../../../src/worker/quota/lines';
import { openPostgresStore } from '../../../src/worker/state/postgres-store';
import { isOutOfReach, type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { TenantLanes } from '../../../src/worker/state/tenant-lanes';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../../helpers/postgres';
import { eventually } from '../../helpers/test-worker';

const LOCKED = new StateStoreUnavailable(new Error('the lock was not free in time'), 'call');
const OUT = new StateStoreUnavailable(new Error('no connection'));

describe('lanes of tenants', () => {
  let now: number;
  let lanes: TenantLanes;
  let begun: string[];
  /** Ends the oldest work of a tenant that is under way. */
  let ends: Map<string, ((error?: Error) => void)[]>;

  beforeEach(() => {
    now = 0;
    lanes = new TenantLanes(() => now);
    begun = [];
    ends = new Map();
  });

  const run = (tenant: string): Promise<string> =>
    lanes.run(
      tenant,
      (isTrial) =>
        new Promise((resolve, reject) => {
          begun.push(isTrial ? `${tenant} tries` : tenant);
          const own = ends.get(tenant) ?? [];
          ends.set(tenant, own);
          own.push((error) => (error === undefined ? resolve('done') : reject(error)));
        }),
    );
  const end = (tenant: string, error?: Error): void => ends.get(tenant)?.shift()?.(error);

  test('a tenant has three at a time, in order, and no other waits for it', async () => {
    const own = Array.from({ length: 5 }, () => run('acme'));
    const other = run('other');
    expect(begun).toEqual(['acme', 'acme', 'acme', 'other']);
    end('other');
    expect(await other).toBe('done');
    end('acme');
    expect(await own[0]).toBe('done');
    expect(begun).toHaveLength(5);
    for (let count = 0; count < 4; count += 1) {
      end('acme');
      await own[count + 1];
    }
    expect(await Promise.all(own)).toEqual(own.map(() => 'done'));
  });

  test('where its row is locked, those who wait are told, and one in a second tries', async () => {
    const own = Array.from({ length: 4 }, () => run('acme')).map((work) => work.catch((error: unknown) => error));
    end('acme', LOCKED);
    expect([await own[0], await own[3]]).toEqual([LOCKED, LOCKED]);
    await expect(run('acme')).rejects.toBe(LOCKED);
    expect(begun).toEqual(['acme', 'acme', 'acme']);
    for (const each of [1, 2]) {
      end('acme', LOCKED);
      await own[each];
    }
    now = 1_000;
    const trial = run('acme');
    await expect(run('acme')).rejects.toBe(LOCKED);
    expect(begun.slice(3)).toEqual(['acme tries']);
    end('acme');
    expect(await trial).toBe('done');
    const next = run('acme');
    expect(begun.slice(4)).toEqual(['acme']);
    end('acme');
    expect(await next).toBe('done');
  });

  test('who waits too long for his turn gives up, and takes none from those behind him', async () => {
    jest.useFakeTimers();
    try {
      const own = Array.from({ length: 4 }, () => run('acme'));
      const tired = own[3]?.catch((error: unknown) => error);
      jest.advanceTimersByTime(2_000);
      const late = run('acme');
      jest.advanceTimersByTime(1_000);
      const error = await tired;
      expect([error instanceof StateStoreUnavailable, isOutOfReach(error)]).toEqual([true, false]);
      end('acme');
      await own[0];
      expect(begun).toHaveLength(4);
      for (const each of [1, 2]) {
        end('acme');
        await own[each];
      }
      end('acme');
      expect(await late).toBe('done');
      expect(jest.getTimerCount()).toBe(0);
      // The tenant is not stuck for others.
      const next = run('acme');
      end('acme');
      expect(await next).toBe('done');
    } finally {
      jest.useRealTimers();
    }
  });

  test('what is wrong with the store is none of the tenant', async () => {
    const failing = run('acme');
    end('acme', OUT);
    await expect(failing).rejects.toBe(OUT);
    const next = run('acme');
    end('acme');
    expect(await next).toBe('done');
  });
});

const DIST = join(__dirname, '..', '..', '..', 'dist', 'src', 'worker');

/** A process that locks a tenant's row, says so and does nothing any more. */
const STANDING_STILL = `
const { openPostgresStore } = require(${JSON.stringify(join(DIST, 'state', 'postgres-store.js'))});
const { lockTenant } = require(${JSON.stringify(join(DIST, 'quota', 'lines.js'))});
openPostgresStore(process.argv[1]).run(function* () {
  yield* lockTenant('stuck');
  require('node:fs').writeSync(1, 'locked');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}, { tenant: 'stuck' });
`;

const binaries = findPostgresBinaries();
const withPostgres = binaries === undefined ? describe.skip : describe;

withPostgres("a tenant's row in PostgreSQL that somebody has locked", () => {
  let server: TestPostgres;
  let store: StateStore;
  let outsider: pg.Client;

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    store = openPostgresStore(server.url);
    outsider = new pg.Client({ connectionString: server.url });
    await outsider.connect();
  });
  afterEach(async () => {
    await outsider.end();
    await store.close();
  });

  const use = (tenant: string): Promise<unknown> => store.run(() => lockTenant(tenant), { tenant });

  test('holds up that tenant and no other, and is used again once it is free', async () => {
    await use('stuck');
    await outsider.query("BEGIN; SELECT 1 FROM beamline_tenants WHERE tenant = 'stuck' FOR UPDATE");
    const events: string[] = [];
    const stuck = Array.from({ length: 20 }, () =>
      use('stuck').then(
        () => events.push('stuck got it'),
        (error: unknown) => events.push(error instanceof StateStoreUnavailable ? error.scope : String(error)),
      ),
    );
    const waiters = async (): Promise<number> => {
      const { rows } = await outsider.query('SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted');
      return rows[0].count;
    };
    await eventually(async () => ((await waiters()) > 0 ? true : undefined));
    const others = Array.from({ length: 20 }, (_, index) => use(`t${index}`).then(() => events.push('other')));
    await Promise.all(others);
    expect(events).toEqual(others.map(() => 'other'));
    await Promise.all(stuck);
    expect(events.slice(20)).toEqual(stuck.map(() => 'call'));
    await outsider.query('COMMIT');
    await eventually(async () => await use('stuck'));
  }, 30_000);

  test('is not kept for ever by a worker that stands still within a transaction', async () => {
    await use('stuck');
    const worker = spawn(process.execPath, ['-e', STANDING_STILL, `${server.url}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(worker.stdout, 'data');
      await expect(use('stuck')).rejects.toMatchObject({ scope: 'call' });
      await eventually(async () => await use('stuck'), 30_000);
      // It is not that it went away.
      expect(worker.exitCode).toBeNull();
    } finally {
      worker.kill('SIGKILL');
    }
  }, 60_000);
});
