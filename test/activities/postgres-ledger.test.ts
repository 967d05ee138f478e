import pg from 'pg';
import { sqlExecute } from '../../src/activities/blocks/sql-execute';
import { sqlTransaction } from '../../src/activities/blocks/sql-transaction';
import { openPostgresDatabase } from '../../src/activities/ports/postgres-database';
import type { SqlDatabase } from '../../src/activities/ports/sql-databases';
import type { ErrorCode } from '../../src/dsl/error-codes';
import type { JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';
import { CommitProxy } from '../helpers/commit-proxy';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';

const binaries = findPostgresBinaries();
const describeWithServer = binaries === undefined ? describe.skip : describe;
const suffix = binaries === undefined ? ' (skipped: neither PATH nor /usr/lib/postgresql has initdb and postgres)' : '';

describeWithServer(`the ledger of a PostgreSQL database${suffix}`, () => {
  let server: TestPostgres;
  let admin: pg.Client;
  const opened: SqlDatabase[] = [];

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    await admin.query("CREATE ROLE tenant LOGIN PASSWORD 'tenant'");
  }, 60_000);
  afterAll(async () => {
    await admin?.end();
    await server?.stop();
  });
  beforeEach(async () => {
    await admin.query(`
      DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO tenant;
      CREATE TABLE items (id serial PRIMARY KEY, name text);
      GRANT ALL ON ALL TABLES IN SCHEMA public TO tenant; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO tenant;`);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
  });

  const open = (url = server.url): SqlDatabase => {
    const database = openPostgresDatabase({ name: 'crm', url });
    opened.push(database);
    return database;
  };
  const contextOf = (
    database: SqlDatabase,
    { step = {}, timeoutMs = 10_000 }: { step?: JsonObject; timeoutMs?: number } = {},
  ) =>
    makeContext(
      { databases: { get: () => database, close: async () => undefined } },
      { step: { blockType: 'sql.execute', ...step }, timeoutMs },
    );
  const execute = (database: SqlDatabase, statement = INSERT, options?: Parameters<typeof contextOf>[1]) =>
    sqlExecute({ database: 'crm', statement }, contextOf(database, options));
  const count = async (table: string): Promise<unknown> =>
    (await admin.query(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]?.n;
  const untilLocked = async () => {
    const end = Date.now() + 5_000;
    const waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'";
    while ((await admin.query(waiting)).rowCount === 0) if (Date.now() > end) throw new Error('nobody waits');
  };

  const INSERT = "INSERT INTO items (name) VALUES ('pen')";

  it('gives a repeat what the first attempt gave, and writes nothing again', async () => {
    const database = open();
    const statements = [
      INSERT,
      "SELECT id, name, 12345678901234567890::numeric AS n, E'a\\'\\\\b\\n' AS odd FROM items",
      'UPDATE items SET name = name RETURNING id',
    ];
    const work = () =>
      sqlTransaction(
        { database: 'crm', statements: statements.map((statement) => ({ statement })) },
        contextOf(database, { step: { blockType: 'sql.transaction' } }),
      );
    const first = await work();
    expect(await work()).toEqual(first);
    expect(JSON.stringify(first)).toContain('"n":"12345678901234567890"');
    expect([await count('items'), await count('beamline_ledger')]).toEqual([1, 1]);
  });

  it('finds after a COMMIT whose answer was lost that it took effect', async () => {
    const proxy = await CommitProxy.start(server.port);
    try {
      const database = open(proxy.through(server.url));
      await execute(database, "INSERT INTO items (name) VALUES ('before')", { step: { idempotencyKey: 'another' } });
      proxy.cuts = 1;
      const failure = await failureOf(execute(database));
      expect(failure.data).toMatchObject({ code: 'BLW_SQL_FAILED', data: { outcome: 'unknown' } });
      expect(failure.options.retryable).toBe(true);
      expect(await execute(database)).toEqual({ rowsAffected: 1 });
      expect([await count('items'), proxy.lost]).toEqual([2, 1]);
    } finally {
      await proxy.close();
    }
  });

  it('makes a second attempt wait for the first, and gives it its result', async () => {
    const [first, second] = [open(), open()];
    await execute(first, INSERT, { step: { idempotencyKey: 'makes the table' } });
    await admin.query('BEGIN; LOCK TABLE items');
    const early = execute(first);
    const late = execute(second);
    await untilLocked();
    await admin.query('COMMIT');
    expect(await Promise.all([early, late])).toEqual([{ rowsAffected: 1 }, { rowsAffected: 1 }]);
    expect(await count('items')).toBe(2);
  });

  it('lets a second attempt do the work where the first is rolled back', async () => {
    const [first, second] = [open(), open()];
    await execute(first, INSERT, { step: { idempotencyKey: 'makes the table' } });
    await admin.query('BEGIN; LOCK TABLE items');
    const early = failureOf(execute(first));
    const late = execute(second);
    await untilLocked();
    await admin.query(
      "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE NOT l.granted AND l.locktype = 'relation'",
    );
    await admin.query('COMMIT');
    const outcomes = await Promise.all([early.catch((error: unknown) => String(error)), late]);
    expect(outcomes[1]).toEqual({ rowsAffected: 1 });
    expect(await count('items')).toBe(2);
  });

  it('is made once by many that begin at the same time', async () => {
    const databases = Array.from({ length: 6 }, () => open());
    const results = await Promise.all(
      databases.map((database, n) => execute(database, INSERT, { step: { idempotencyKey: `key ${n}` } })),
    );
    expect(results).toHaveLength(6);
    expect([await count('items'), await count('beamline_ledger')]).toEqual([6, 6]);
  });

  it('is made anew where it was dropped', async () => {
    const database = open();
    await execute(database);
    await admin.query('DROP TABLE beamline_ledger');
    await execute(database, INSERT, { step: { idempotencyKey: 'another' } });
    expect(await count('beamline_ledger')).toBe(1);
  });

  describe('for a role that may not make tables', () => {
    const asTenant = () => server.url.replace(/admin:[^@]*@/, 'tenant:tenant@');

    it('says what an administrator has to run, and works once that is done', async () => {
      const database = open(asTenant());
      const failure = await failureOf(execute(database));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_LEDGER');
      expect(failure.options.retryable).toBe(false);
      expect(await count('items')).toBe(0);
      const [, commands = ''] = /search_path: (.*)$/s.exec(failure.message) ?? [];
      await admin.query(commands);
      await execute(database);
      await execute(database);
      expect(await count('items')).toBe(1);
    });

    it('asks for the rights where the table is there without them', async () => {
      await execute(open());
      const failure = await failureOf(execute(open(asTenant())));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_LEDGER');
      expect(failure.message).toContain('the role may not use the table public.beamline_ledger');
    });

    it('works without the right to delete, and forgets nothing then', async () => {
      await execute(open());
      await admin.query(`GRANT SELECT, INSERT, UPDATE ON beamline_ledger TO tenant;
        INSERT INTO beamline_ledger VALUES ('old', 'step', 'epoch', '{}')`);
      await execute(open(asTenant()), INSERT, { step: { idempotencyKey: 'another' } });
      expect(await count('beamline_ledger')).toBe(3);
    });

    it('is not needed by a step that may run twice', async () => {
      await execute(open(asTenant()), INSERT, { step: { idempotent: true } });
      expect(await count('items')).toBe(1);
    });
  });

  it('forgets what is older than its retention, some rows with a write', async () => {
    const database = open();
    await execute(database);
    await admin.query(
      "INSERT INTO beamline_ledger SELECT 'old ' || n, 'step', 'epoch', '{}' FROM generate_series(1, 150) n",
    );
    for (let n = 0; n < 64; n += 1) await execute(database, INSERT, { step: { idempotencyKey: `key ${n}` } });
    expect(await count('beamline_ledger')).toBe(65);
  });

  it('is found although the step changes its search_path', async () => {
    const database = open();
    await execute(database);
    await admin.query('CREATE SCHEMA other');
    const statement = "INSERT INTO items (name) SELECT set_config('search_path', 'other', true)";
    await execute(database, statement);
    await execute(database, statement);
    expect(await count('items')).toBe(2);
  });

  it('holds the second attempt off with any isolation that the role has by default', async () => {
    const url = `${server.url}?options=${encodeURIComponent('-c default_transaction_isolation=serializable')}`;
    const [first, second] = [open(url), open(url)];
    await execute(first, INSERT, { step: { idempotencyKey: 'makes the table' } });
    const attempts = await Promise.allSettled([execute(first), execute(second)]);
    expect(attempts.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    await execute(second);
    expect(await count('items')).toBe(2);
  });

  it.each([
    'DELETE FROM beamline_ledger',
    'DELETE FROM public."beamline_ledger"',
    'DROP TABLE Beamline_Ledger',
    "SELECT query_to_xml('TABLE beamline_ledger', true, true, '')",
    'DO $$ BEGIN DELETE FROM beamline_ledger; END $$',
    'DELETE FROM U&"beamline\\005fledger"',
  ])('is out of reach of a step: %s', async (statement) => {
    const database = open();
    await execute(database);
    const failure = await failureOf(execute(database, statement, { step: { idempotent: true } }));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(await count('beamline_ledger')).toBe(1);
  });
});
