import { createServer } from 'node:net';
import pg from 'pg';
import { sqlExecute } from '../../src/activities/blocks/sql-execute';
import { openPostgresDatabase } from '../../src/activities/ports/postgres-database';
import type { SqlDatabase, SqlLimits, SqlStatement } from '../../src/activities/ports/sql-databases';
import type { ErrorCode } from '../../src/dsl/error-codes';
import { failureOf, makeContext } from '../helpers/block-context';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';

const binaries = findPostgresBinaries();
const describeWithServer = binaries === undefined ? describe.skip : describe;
const suffix = binaries === undefined ? ' (skipped: neither PATH nor /usr/lib/postgresql has initdb and postgres)' : '';

const limits = (timeoutMs = 10_000, signal = new AbortController().signal): SqlLimits => ({
  signal,
  deadline: Date.now() + timeoutMs,
});

describeWithServer(`a PostgreSQL database${suffix}`, () => {
  let server: TestPostgres;
  let admin: pg.Client;
  let database: SqlDatabase;

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
  }, 60_000);

  afterAll(async () => {
    await admin?.end();
    await server?.stop();
  });

  beforeEach(async () => {
    await admin.query(`
      DROP SCHEMA public CASCADE; CREATE SCHEMA public;
      CREATE TABLE items (id serial PRIMARY KEY, name text UNIQUE, price numeric CHECK (price >= 0));
      INSERT INTO items (name, price) VALUES ('pen', 1.50), ('ink', 2), ('pad', NULL);`);
    database = openPostgresDatabase({ name: 'crm', url: server.url });
  });

  afterEach(() => database.close());

  const query = (statement: string, parameters: SqlStatement['parameters'] = {}, maxRows = 1_000) =>
    database.query({ statement, parameters }, maxRows, limits());
  const execute = (statement: string, parameters: SqlStatement['parameters'] = {}) =>
    database.execute({ statement, parameters }, limits());
  const transaction = (...statements: string[]) =>
    database.transaction(
      statements.map((statement) => ({ statement })),
      limits(),
    );
  const countItems = async () => (await admin.query('SELECT count(*)::int AS n FROM items')).rows[0]?.n;
  /** How many sessions of the database under test are running something. */
  const countRunning = async (pattern: string) => {
    const { rows } = await admin.query(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()",
      [pattern],
    );
    return rows[0]?.n;
  };
  const until = async (isTrue: () => Promise<boolean>) => {
    const end = Date.now() + 5_000;
    while (!(await isTrue())) {
      if (Date.now() > end) throw new Error('waited in vain');
    }
  };

  describe('sql.query', () => {
    it('returns rows as objects by column name', async () => {
      await expect(
        query('SELECT name, id FROM items WHERE price >= :least ORDER BY id', { least: 1.5 }),
      ).resolves.toEqual({
        columns: ['name', 'id'],
        rows: [
          { name: 'pen', id: 1 },
          { name: 'ink', id: 2 },
        ],
        truncated: false,
      });
    });

    it('returns the columns of a result without rows', async () => {
      await expect(query('SELECT id, name FROM items WHERE false')).resolves.toEqual({
        columns: ['id', 'name'],
        rows: [],
        truncated: false,
      });
    });

    it.each([
      [2, 2, true],
      [3, 3, false],
      [4, 3, false],
    ])('returns at most %i rows', async (maxRows, rowCount, truncated) => {
      const result = await query('SELECT id FROM items', {}, maxRows);
      expect([result.rows.length, result.truncated]).toEqual([rowCount, truncated]);
    });

    it.each([1, 499, 500, 501, 1_000, 1_001])('returns %i of endless rows', async (maxRows) => {
      const result = await query('SELECT generate_series(1, 1000000000) AS x', {}, maxRows);
      expect([result.rows.length, result.rows.at(-1), result.truncated]).toEqual([maxRows, { x: maxRows }, true]);
    });

    it.each<[string, string, unknown]>([
      ['bigint that is exact', '9007199254740991::int8', 9007199254740991],
      ['bigint beyond 2^53', '9007199254740993::int8', '9007199254740993'],
      ['integer', '42::int4', 42],
      ['numeric', '1.50::numeric', '1.50'],
      ['double', '0.1::float8', 0.1],
      ['NaN', "'NaN'::float8", 'NaN'],
      ['boolean', 'true', true],
      ['text', "'ä€😀'::text", 'ä€😀'],
      ['date', "'2024-02-29'::date", '2024-02-29'],
      ['timestamp', "'2024-02-29 10:20:30.5'::timestamp", '2024-02-29T10:20:30.5'],
      ['timestamptz, in UTC', "'2024-02-29 10:20:30+02'::timestamptz", '2024-02-29T08:20:30Z'],
      ['infinity', "'infinity'::timestamptz", 'infinity'],
      ['interval', "'1 day 02:03:04'::interval", 'P1DT2H3M4S'],
      ['jsonb', `'{"a": [1, null]}'::jsonb`, { a: [1, null] }],
      ['bytea', "'\\x00ff10'::bytea", 'AP8Q'],
      ['uuid', "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['an array', 'ARRAY[1, NULL, 3]', [1, null, 3]],
      ['an array of bigint', 'ARRAY[9007199254740993]', ['9007199254740993']],
      ['an array of timestamptz', "ARRAY['2024-02-29 10:20:30+02'::timestamptz]", ['2024-02-29T08:20:30Z']],
      ['an array of arrays', "ARRAY[ARRAY['a', 'b c']]", [['a', 'b c']]],
      ['a point', "'(1,2)'::point", '(1,2)'],
      ['NULL', 'NULL', null],
    ])('hands out %s', async (_name, expression, value) => {
      expect((await query(`SELECT ${expression} AS value`)).rows).toEqual([{ value }]);
    });

    it.each<[string, unknown, string, unknown]>([
      ['a number', 3, 'int', 3],
      ['a boolean', true, 'boolean', true],
      ['text', "it's", 'text', "it's"],
      ['null', null, 'text', null],
      ['an object', { a: ["'"] }, 'jsonb', { a: ["'"] }],
      ['an array', [1, 'a'], 'jsonb', [1, 'a']],
    ])('takes %s', async (_name, value, type, back) => {
      const { rows } = await query(`SELECT CAST(:value AS ${type}) AS back`, { value: value as string });
      expect(rows).toEqual([{ back }]);
    });

    it('takes an array for ?, and leaves ? alone beside names', async () => {
      expect((await query('SELECT ?::int + ?::int AS sum', [1, 2])).rows).toEqual([{ sum: 3 }]);
      expect((await query(`SELECT '{"a": 1}'::jsonb ? :key AS has`, { key: 'a' })).rows).toEqual([{ has: true }]);
    });

    it('keeps columns that are named like parts of objects as data', async () => {
      const { rows } = await query('SELECT 1 AS "__proto__", 2 AS "constructor"');
      expect(JSON.stringify(rows)).toBe('[{"__proto__":1,"constructor":2}]');
    });

    it.each<[string, string, string]>([
      ['two columns of one name', 'SELECT id, id FROM items', 'two columns named "id"'],
      [
        'two columns of one name, endlessly',
        'SELECT generate_series(1, 1000000000) AS x, 1 AS x',
        'two columns named "x"',
      ],
      ['a write', "UPDATE items SET name = 'x'", 'is UPDATE, which sql.query does not run'],
      ['a write that EXPLAIN runs', 'EXPLAIN ANALYZE DELETE FROM items', 'read-only transaction'],
      ['a write behind WITH', 'WITH a AS (DELETE FROM items RETURNING id) SELECT * FROM a', 'read-only transaction'],
      ['a block of code', 'DO $$ BEGIN DELETE FROM items; END $$', 'is DO, which sql.query does not run'],
      ['a lock', 'LOCK TABLE items IN ACCESS EXCLUSIVE MODE', 'is LOCK'],
      [
        'JSON that is nested too deeply',
        "SELECT (repeat('[', 600) || repeat(']', 600))::json AS j",
        'column "j" has JSON',
      ],
      ['leaving read-only mode', "SELECT set_config('transaction_read_only', 'off', true)", 'read-write mode'],
      ['SET', 'SET TRANSACTION READ WRITE', 'is SET'],
      ['COMMIT', 'COMMIT', 'is COMMIT'],
      ['COPY', 'COPY items TO STDOUT', 'is COPY'],
      ['what does not parse', 'SELECT FROM WHERE', 'syntax error at or near "WHERE"'],
      ['a table that is not there', 'SELECT * FROM missing', 'relation "missing" does not exist'],
      ['a value of the wrong form', "SELECT 'x'::int", 'invalid input syntax for type integer'],
      ['division by zero', 'SELECT 1 / 0', 'division by zero'],
    ])('refuses %s, and does not retry', async (_name, statement, message) => {
      const failure = await failureOf(query(statement));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
      expect(failure.message).toContain(message);
      expect(failure.message).toMatch(/^database "crm", statement/);
      expect(failure.options.retryable).toBe(false);
      expect(await countItems()).toBe(3);
    });

    it.each([
      ['SELECT CAST(:value AS int)', 'my "secret" thing'],
      ['SELECT CAST(:value AS date)', 'secret'],
      ['SELECT CAST(:value AS smallint)', '98765432'],
    ])('does not repeat values in messages: %s', async (statement, value) => {
      const failure = await failureOf(query(statement, { value }));
      expect(failure.message).toMatch(/"…"/);
      expect(JSON.stringify([failure.message, failure.cause, failure.data])).not.toMatch(/secret|98765432/);
    });

    it('refuses more than 1.5 MiB of rows', async () => {
      const failure = await failureOf(query("SELECT repeat('x', 10000) FROM generate_series(1, 200)"));
      expect(failure.data.code).toBe<ErrorCode>('BLW_RESULT_TOO_LARGE');
      expect(failure.options.retryable).toBe(false);
    });

    it('stops a flood of bytes before it fills the memory', async () => {
      const before = process.memoryUsage().rss;
      const statement = "SELECT repeat('x', 500000000)";
      // The server makes it whole before it sends the first byte, which takes a busy machine its time.
      const failure = await failureOf(database.query({ statement, parameters: {} }, 1_000, limits(60_000)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_RESULT_TOO_LARGE');
      expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
    }, 90_000);
  });

  describe('sql.execute', () => {
    it.each<[string, string, number]>([
      ['an INSERT', "INSERT INTO items (name) VALUES ('a'), ('b')", 2],
      ['an INSERT with RETURNING', "INSERT INTO items (name) VALUES ('a') RETURNING id", 1],
      ['an UPDATE', "UPDATE items SET name = name || '!'", 3],
      ['a DELETE that finds nothing', 'DELETE FROM items WHERE id = 99', 0],
      [
        'a write of many rows',
        'INSERT INTO items (price) SELECT x FROM generate_series(1, 1234) AS x RETURNING id',
        1234,
      ],
      ['DDL', 'CREATE INDEX ON items (price)', 0],
      ['CREATE TABLE AS', 'CREATE TABLE copies AS SELECT * FROM items', 3],
      ['a function', "SELECT setval('items_id_seq', 50)", 0],
    ])('reports the rows of %s', async (_name, statement, rowsAffected) => {
      await expect(execute(statement)).resolves.toEqual({ rowsAffected });
    });

    it('has committed when it returns', async () => {
      await execute('INSERT INTO items (name, price) VALUES (:name, :price)', { name: 'cap', price: 3 });
      expect(await countItems()).toBe(4);
    });

    it.each<[string, string, object]>([
      [
        'a value that must be unique',
        "INSERT INTO items (name) VALUES ('pen')",
        { sqlState: '23505', constraint: 'items_name_key' },
      ],
      ['a check', 'UPDATE items SET price = -1', { sqlState: '23514', constraint: 'items_price_check' }],
    ])('refuses to violate %s, and does not retry', async (_name, statement, data) => {
      const failure = await failureOf(execute(statement));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_CONSTRAINT');
      expect(failure.data.data).toMatchObject(data);
      expect(failure.options.retryable).toBe(false);
    });

    it('finds a violation that was deferred to the end', async () => {
      await admin.query('CREATE TABLE refs (item int REFERENCES items (id) DEFERRABLE INITIALLY DEFERRED)');
      const failure = await failureOf(execute('INSERT INTO refs VALUES (99)'));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_CONSTRAINT');
      expect(failure.message).toContain('commit');
    });

    it('is retried where another session holds a lock for longer than the step can wait', async () => {
      await admin.query('BEGIN; LOCK TABLE items');
      try {
        const failure = await failureOf(database.execute({ statement: 'DELETE FROM items' }, limits(500)));
        expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
        expect(failure.data.data).toEqual({ sqlState: '55P03' });
        expect(failure.options.retryable).toBe(true);
      } finally {
        await admin.query('ROLLBACK');
      }
      expect(await countItems()).toBe(3);
    });

    it('leaves nothing in the session for the next step', async () => {
      await execute("SELECT set_config('search_path', 'nowhere', false)");
      await execute('SELECT pg_advisory_lock(42)');
      await execute('CREATE TEMP TABLE leftovers (a int)');
      await expect(query("SELECT current_setting('search_path') AS path")).resolves.toMatchObject({
        rows: [{ path: '"$user", public' }],
      });
      expect((await failureOf(query('SELECT * FROM leftovers'))).message).toContain('does not exist');
      const free = await admin.query('SELECT pg_try_advisory_lock(42) AS free, pg_advisory_unlock(42)');
      expect(free.rows[0]?.free).toBe(true);
    });
  });

  describe('sql.transaction', () => {
    it('has one result per statement, with the rows that some return', async () => {
      const results = await transaction(
        "INSERT INTO items (name) VALUES ('cap') RETURNING name",
        'UPDATE items SET price = 5 WHERE price IS NULL',
        'SELECT count(*) AS n FROM items',
      );
      expect(results).toEqual([
        { rowsAffected: 1, rows: [{ name: 'cap' }] },
        { rowsAffected: 2 },
        { rowsAffected: 0, rows: [{ n: 4 }] },
      ]);
    });

    it.each<[string, string, ErrorCode]>([
      ['a constraint', "INSERT INTO items (name) VALUES ('pen')", 'BLW_SQL_CONSTRAINT'],
      ['a missing table', 'DELETE FROM missing', 'BLW_SQL_STATEMENT'],
      ['transaction control', 'COMMIT', 'BLW_SQL_STATEMENT'],
    ])('does nothing at all where the second statement fails by %s', async (_name, second, code) => {
      const failure = await failureOf(transaction('DELETE FROM items WHERE id = 2', second));
      expect(failure.data.code).toBe(code);
      expect(failure.message).toContain('statement 2 of 2');
      expect(await countItems()).toBe(3);
    });

    it('returns at most 1,000 rows of a statement, and runs it to its end', async () => {
      const [result] = await transaction(
        'INSERT INTO items (price) SELECT x FROM generate_series(1, 1500) AS x RETURNING price',
        "SELECT setval('items_id_seq', 5000 + x) FROM generate_series(1, 1700) AS x",
      );
      expect([result?.rowsAffected, result?.rows?.length]).toEqual([1500, 1000]);
      expect((await admin.query('SELECT last_value::int AS last FROM items_id_seq')).rows).toEqual([{ last: 6700 }]);
    });
  });

  describe('limits', () => {
    it('stops a query at its deadline, on the server too', async () => {
      const started = Date.now();
      const failure = await failureOf(database.query({ statement: 'SELECT pg_sleep(30)' }, 1, limits(300)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
      expect(failure.options.retryable).toBe(true);
      expect(Date.now() - started).toBeLessThan(2_000);
      // The server takes its time to notice, on a busy machine.
      await until(async () => (await countRunning('SELECT pg_sleep(30)%')) === 0);
    });

    it('stops several statements at the deadline of all', async () => {
      const work = { statement: 'SELECT pg_sleep(0.3)' };
      const failure = await failureOf(database.transaction([work, work, work, work], limits(500)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    });

    it.each<[string, (sql: string, limits: SqlLimits) => Promise<unknown>]>([
      ['query', (statement, within) => database.query({ statement }, 1, within)],
      ['execute', (statement, within) => database.execute({ statement }, within)],
    ])('stops a running %s when it is cancelled, on the server too', async (_name, run) => {
      const controller = new AbortController();
      const outcome = run('SELECT pg_sleep(31)', limits(20_000, controller.signal)).catch((error: unknown) => error);
      await until(async () => (await countRunning('SELECT pg_sleep(31)%')) === 1);
      const reason = new Error('cancelled by the test');
      const started = Date.now();
      controller.abort(reason);
      await expect(outcome).resolves.toBe(reason);
      expect(Date.now() - started).toBeLessThan(1_000);
      await until(async () => (await countRunning('SELECT pg_sleep(31)%')) === 0);
    });

    it('takes a deadline that is months away', async () => {
      const far = database.query({ statement: 'SELECT 1 AS one' }, 1, limits(60 * 86_400_000));
      await expect(far).resolves.toMatchObject({ rows: [{ one: 1 }] });
    });

    it('does not begin without time, or after it was cancelled', async () => {
      const late = await failureOf(database.query({ statement: 'SELECT 1' }, 1, limits(-1)));
      expect(late.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
      const reason = new Error('cancelled by the test');
      const cancelled = database.query({ statement: 'SELECT 1' }, 1, limits(1_000, AbortSignal.abort(reason)));
      await expect(cancelled).rejects.toBe(reason);
    });

    it('serves many steps at once, and more than it has connections', async () => {
      const sums = Array.from({ length: 40 }, (_item, index) => query('SELECT :n::int * 2 AS n', { n: index }));
      const rows = (await Promise.all(sums)).map((result) => result.rows[0]?.n);
      expect(rows).toEqual(Array.from({ length: 40 }, (_item, index) => index * 2));
    });

    it('gives up waiting for a connection when the time is up', async () => {
      const blockers = Array.from({ length: 8 }, () => query('SELECT pg_sleep(1)'));
      const failure = await failureOf(database.query({ statement: 'SELECT 1' }, 1, limits(200)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
      expect(failure.message).toContain('no connection was free');
      await Promise.all(blockers);
      await expect(query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
    });
  });

  describe('outages', () => {
    const terminate = (pattern: string) =>
      admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()',
        [pattern],
      );

    it('is retried where the server ends the session, and works again after that', async () => {
      const outcome = failureOf(query('SELECT pg_sleep(32)'));
      await until(async () => (await countRunning('SELECT pg_sleep(32)%')) === 1);
      await terminate('SELECT pg_sleep(32)%');
      const failure = await outcome;
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
      expect(failure.options.retryable).toBe(true);
      await expect(query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
    });

    it('survives that an idle session is ended', async () => {
      await query('SELECT 1');
      const countIdle = async () => {
        const { rows } = await admin.query(
          "SELECT 1 FROM pg_stat_activity WHERE state = 'idle' AND query = 'DISCARD ALL'",
        );
        return rows.length;
      };
      await until(async () => (await countIdle()) === 1);
      await terminate('DISCARD ALL');
      await until(async () => (await countIdle()) === 0);
      await expect(query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
    });

    it('does not know the outcome of a COMMIT whose answer was lost', async () => {
      // A deferred trigger that ends its own session: the statement has succeeded, the COMMIT is never answered.
      await admin.query(`
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER die AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION die();`);
      const statement = "INSERT INTO items (name) VALUES ('cap')";
      const failure = await failureOf(execute(statement));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_FAILED');
      expect(failure.data.data).toEqual({ outcome: 'unknown' });
      const databases = { get: () => database, close: async () => undefined };
      const attempt = (idempotent: boolean) =>
        failureOf(sqlExecute({ database: 'crm', statement }, makeContext({ databases }, { step: { idempotent } })));
      // With a record the next attempt finds out; without one the author has said that doing it twice is harmless.
      expect((await attempt(true)).options.retryable).toBe(true);
      expect((await attempt(false)).options.retryable).toBe(true);
      expect(await countItems()).toBe(3);
    });

    it.each<[string, (url: string) => string, string]>([
      ['a wrong password', (url) => url.replace('correct', 'wrong'), 'password authentication failed'],
      ['an unknown user', (url) => url.replace('admin', 'nobody'), 'password authentication failed'],
      ['no password', (url) => url.replace(/:[^:@]*@/, '@'), 'password'],
      ['an unknown database', (url) => url.replace(/postgres$/, 'nothing'), 'database "nothing" does not exist'],
    ])('reports %s without the password, and does not retry', async (_name, change, message) => {
      const other = openPostgresDatabase({ name: 'crm', url: change(server.url) });
      const failure = await failureOf(other.query({ statement: 'SELECT 1' }, 1, limits()));
      await other.close();
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_FAILED');
      expect(failure.message).toContain(message);
      expect(failure.options.retryable).toBe(false);
      expect(JSON.stringify([failure.message, failure.data, String(failure.cause)])).not.toMatch(/correct|wrong|horse/);
    });
  });
});

describe('a PostgreSQL database that is not there', () => {
  const failureAt = async (url: string, timeoutMs: number) => {
    const database = openPostgresDatabase({ name: 'crm', url });
    try {
      return await failureOf(database.query({ statement: 'SELECT 1' }, 1, limits(timeoutMs)));
    } finally {
      await database.close();
    }
  };

  it('is retried where nothing listens', async () => {
    const failure = await failureAt('postgres://user:secret@127.0.0.1:1/crm', 5_000);
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
    expect(failure.message).toContain('ECONNREFUSED');
    expect(failure.message).not.toContain('secret');
    expect(failure.options.retryable).toBe(true);
  });

  it('gives up at the deadline where a server does not answer', async () => {
    const silent = createServer();
    const sockets = new Set<{ destroy(): void }>();
    silent.on('connection', (socket) => sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const database = openPostgresDatabase({ name: 'crm', url: `postgres://user:secret@127.0.0.1:${port}/crm` });
    try {
      const started = Date.now();
      const failure = await failureOf(database.query({ statement: 'SELECT 1' }, 1, limits(300)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
      expect(Date.now() - started).toBeLessThan(2_000);
    } finally {
      for (const socket of sockets) socket.destroy();
      await database.close();
      await new Promise((resolve) => silent.close(resolve));
    }
  });
});
