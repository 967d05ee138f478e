import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { openStateStore, openWorkerStore, parseStateStore } from '../../../src/worker/state/open-state-store';
import { execute, query } from '../../../src/worker/state/rule';
import { SCHEMA_VERSION } from '../../../src/worker/state/schema';
import { StateStoreUnavailable } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';

const at = { cwd: '/work', blobRoot: '/blobs' };

test.each([
  ['', { kind: 'sqlite', file: '/blobs/state.sqlite' }],
  ['sqlite:./state.db', { kind: 'sqlite', file: '/work/state.db' }],
  ['postgres://u:p@db/beamline', { kind: 'postgres', url: 'postgres://u:p@db/beamline' }],
])('--state-store %j is read', (text, expected) => {
  expect(parseStateStore(text, at)).toEqual(expected);
});

test.each(['sqlite:', 'sqlite::memory:', 'sqlite://host/file', 'mysql://u:secret@h/d', '/tmp/state', 'postgres:x'])(
  '--state-store %s is refused, and not repeated',
  (text) => {
    expect(() => parseStateStore(text, at)).toThrow(/^--state-store: got no .*expected sqlite:FILE or postgres:/);
    expect(() => parseStateStore(text, at)).not.toThrow('secret');
  },
);

describe.each(storeKinds())('a state store in $name', (kind) => {
  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(() => kind.begin());

  test('is made on first use, by several at the same time', async () => {
    const stores = Array.from({ length: 5 }, () => kind.open());
    try {
      await Promise.all(stores.map((store) => store.run(() => query('SELECT 1 AS one FROM beamline_usage'))));
      expect(await stores[0]?.run(() => query('SELECT version FROM beamline_state'))).toEqual([
        { version: SCHEMA_VERSION },
      ]);
    } finally {
      await Promise.all(stores.map((store) => store.close()));
    }
  });

  test('of a newer version is refused', async () => {
    const store = kind.open();
    await store.run(() => execute('UPDATE beamline_state SET version = 99'));
    await store.close();
    const again = kind.open();
    await expect(again.run(() => query('SELECT 1 AS one'))).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
    await again.close();
  });

  test('of the first version is kept, and gets what is new', async () => {
    const old = kind.open();
    await old.run(function* () {
      for (const table of ['duties', 'charged', 'outbox', 'usage_counters'])
        yield* execute(`DROP TABLE beamline_${table}`);
      yield* execute('ALTER TABLE beamline_tenants DROP COLUMN cpu_window_ms');
      yield* execute('UPDATE beamline_state SET version = 1');
      yield* execute("INSERT INTO beamline_tenants (tenant, blob_bytes) VALUES ('acme', 7)");
    });
    await old.close();
    const store = kind.open();
    expect(await store.run(() => query('SELECT blob_bytes, cpu_window_ms FROM beamline_tenants'))).toEqual([
      { blob_bytes: 7, cpu_window_ms: 0 },
    ]);
    expect(await store.run(() => query('SELECT name FROM beamline_duties'))).toEqual([]);
    expect(await store.run(() => query('SELECT id FROM beamline_outbox'))).toEqual([]);
    expect(await store.run(() => query('SELECT version FROM beamline_state'))).toEqual([{ version: SCHEMA_VERSION }]);
    await store.close();
  });

  test('a rule that only reads cannot write', async () => {
    const store = kind.open();
    const insert = () => execute("INSERT INTO beamline_tenants (tenant) VALUES ('acme')");
    await expect(store.run(insert, { isReading: true })).rejects.toThrow(/read/);
    expect(await store.run(() => query('SELECT tenant FROM beamline_tenants'), { isReading: true })).toEqual([]);
    await store.close();
  });

  test('a rule is done as a whole or not at all', async () => {
    const store = kind.open();
    const insert = () => execute("INSERT INTO beamline_tenants (tenant) VALUES ('acme')");
    const failing = store.run(function* () {
      yield* insert();
      yield* insert();
    });
    await expect(failing).rejects.toMatchObject({ message: expect.stringMatching(/unique/i) });
    expect(await store.run(() => query('SELECT tenant FROM beamline_tenants'))).toEqual([]);
    await store.run(insert);
    expect(await store.run(() => query('SELECT tenant FROM beamline_tenants'))).toHaveLength(1);
    await store.close();
  });

  test.each([
    "o'clock",
    '; DROP TABLE beamline_tenants; --',
    'back\\slash',
    '$1 ? now_ms()',
    'ünïcode \u{1F600}',
    "\\'; --",
  ])('keeps %j as it is, and does nothing that it says', async (text) => {
    const store = kind.open();
    await store.run(function* () {
      yield* execute('INSERT INTO beamline_tenants (tenant) VALUES (?)', text);
      yield* execute('INSERT INTO beamline_tenants (tenant, blob_bytes) VALUES (?, ?)', `${text}2`, null);
    });
    expect(await store.run(() => query('SELECT tenant FROM beamline_tenants WHERE tenant = ?', text))).toEqual([
      { tenant: text },
    ]);
    await store.close();
  });

  test('numbers come back as numbers, however large', async () => {
    const store = kind.open();
    const large = 8_640_000_000_000_000;
    await store.run(() =>
      execute('INSERT INTO beamline_tenants (tenant, blob_bytes, rate_next) VALUES (?, ?, ?)', 'acme', large, -1.25),
    );
    const [row] = await store.run(() => query('SELECT blob_bytes, rate_next, known_limit FROM beamline_tenants'));
    expect(row).toEqual({ blob_bytes: large, rate_next: -1.25, known_limit: null });
    await store.close();
  });
});

describe('a store that cannot be used', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('a file that another process keeps is given up after two seconds, and used once it is free', async () => {
    const file = join(folder, 'state.sqlite');
    const store = openStateStore({ kind: 'sqlite', file });
    await store.run(() => query('SELECT 1 AS one'));
    const other = new Sqlite(file);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.run(() => query('SELECT 1 AS one'))).rejects.toBeInstanceOf(StateStoreUnavailable);
    const waiting = store.run(() => query('SELECT 2 AS two'));
    other.exec('ROLLBACK');
    other.close();
    expect(await waiting).toEqual([{ two: 2 }]);
    await store.close();
  });

  test('a worker does not start with a file that is no store', async () => {
    const file = join(folder, 'state.sqlite');
    writeFileSync(file, 'this is no database, whatever it is called'.repeat(100));
    const opening = openWorkerStore({ kind: 'sqlite', file }, () => undefined);
    await expect(opening).rejects.toMatchObject({
      data: { code: 'BLW_CONFIG', detail: expect.stringContaining('--state-store') },
    });
  });

  test('a worker starts without a database that does not answer, and says so', async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const address = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    const port = typeof address === 'object' ? address?.port : 0;
    const warnings: string[] = [];
    const url = `postgres://nobody:secret@127.0.0.1:${port}/none`;
    const store = await openWorkerStore({ kind: 'postgres', url }, (error) => warnings.push(error.message));
    expect(warnings).toEqual([expect.stringContaining('the state store cannot be used')]);
    expect(warnings.join()).not.toContain('secret');
    await store.close();
  });
});
