import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import type { SqlDatabase, SqlLimits, SqlStatement } from '../../src/activities/ports/sql-databases';
import { openSqliteDatabase } from '../../src/activities/ports/sqlite-database';
import type { ErrorCode } from '../../src/dsl/error-codes';
import { failureOf } from '../helpers/block-context';

let folder: string;
let file: string;
let database: SqlDatabase;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blw-sqlite-'));
  file = join(folder, 'made', 'shop.db');
  database = openSqliteDatabase({ name: 'shop', file });
});

afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true, force: true });
});

const limits = (timeoutMs = 10_000, signal = new AbortController().signal): SqlLimits => ({
  signal,
  deadline: Date.now() + timeoutMs,
});

const query = (statement: string, parameters: SqlStatement['parameters'] = {}, maxRows = 1_000) =>
  database.query({ statement, parameters }, maxRows, limits());
const execute = (statement: string, parameters: SqlStatement['parameters'] = {}) =>
  database.execute({ statement, parameters }, limits());
const transaction = (...statements: string[]) =>
  database.transaction(
    statements.map((statement) => ({ statement })),
    limits(),
  );

/** Opens the file as a stranger would. */
async function besides<T>(work: (other: Sqlite.Database) => T | Promise<T>): Promise<T> {
  const other = new Sqlite(file, { timeout: 0 });
  try {
    return await work(other);
  } finally {
    other.close();
  }
}

describe('opening a SQLite database', () => {
  it('makes the file and its folder on first use, in WAL mode', async () => {
    expect(existsSync(file)).toBe(false);
    await expect(query('SELECT 1 AS one')).resolves.toEqual({ columns: ['one'], rows: [{ one: 1 }], truncated: false });
    await expect(besides((other) => other.pragma('journal_mode', { simple: true }))).resolves.toBe('wal');
  });

  it.each(['', ' ', ':memory:', 'file:x?mode=memory', 'FILE::memory:'])('refuses %j, which lives in memory', (name) => {
    expect(() => openSqliteDatabase({ name: 'shop', file: name })).toThrow(
      expect.objectContaining({ data: expect.objectContaining({ code: 'BLW_CONFIG' }) }),
    );
  });

  it('says which folder cannot be made', async () => {
    writeFileSync(join(folder, 'plain'), '');
    const blocked = openSqliteDatabase({ name: 'shop', file: join(folder, 'plain', 'shop.db') });
    const failure = await failureOf(blocked.query({ statement: 'SELECT 1' }, 1, limits()));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_FAILED');
    expect(failure.message).toContain('its folder cannot be made');
    expect(failure.options.retryable).toBe(false);
  });

  it('reports a file that is no database, and does not retry', async () => {
    const broken = join(folder, 'broken.db');
    writeFileSync(broken, 'this is not a database, whatever its name says'.repeat(100));
    const failure = await failureOf(
      openSqliteDatabase({ name: 'shop', file: broken }).query({ statement: 'SELECT 1' }, 1, limits()),
    );
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_FAILED');
    expect(failure.data.data).toEqual({ sqliteCode: 'SQLITE_NOTADB' });
    expect(failure.options.retryable).toBe(false);
  });
});

describe('sql.query on SQLite', () => {
  beforeEach(async () => {
    await transaction(
      'CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)',
      "INSERT INTO items (name, price) VALUES ('pen', 1.5), ('ink', 2), ('pad', NULL)",
    );
  });

  it('returns rows as objects by column name, in the order of the statement', async () => {
    const result = await query('SELECT name, id FROM items WHERE price >= :least ORDER BY id', { least: 1.5 });
    expect(result).toEqual({
      columns: ['name', 'id'],
      rows: [
        { name: 'pen', id: 1 },
        { name: 'ink', id: 2 },
      ],
      truncated: false,
    });
  });

  it('returns the columns of a result without rows', async () => {
    await expect(query('SELECT id, name FROM items WHERE 0')).resolves.toEqual({
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

  it.each<[string, string, unknown]>([
    ['the largest exact integer', '9007199254740991', 9007199254740991],
    ['an integer beyond 2^53', '9007199254740993', '9007199254740993'],
    ['the smallest integer', '-9223372036854775808', '-9223372036854775808'],
    ['bytes', "x'00ff10'", 'AP8Q'],
    ['infinity', '9e999', 'Infinity'],
    ['NULL', 'NULL', null],
    ['a real', '0.1', 0.1],
    ['text', "'ä€😀'", 'ä€😀'],
  ])('hands out %s', async (_name, expression, value) => {
    expect((await query(`SELECT ${expression} AS value`)).rows).toEqual([{ value }]);
  });

  it.each<[string, unknown, string, unknown]>([
    ['3', 3, 'integer', 3],
    ['2.5', 2.5, 'real', 2.5],
    ['true', true, 'integer', 1],
    ['text', 'x', 'text', 'x'],
    ['null', null, 'null', null],
    ['an object', { a: 1 }, 'text', '{"a":1}'],
  ])('binds %s as the type that SQLite expects', async (_name, value, type, back) => {
    const { rows } = await query('SELECT typeof(:value) AS type, :value AS back', { value: value as string });
    expect(rows).toEqual([{ type, back }]);
  });

  it('returns every JSON scalar as it was given', async () => {
    const scalar = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.constant(null),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(scalar, { minLength: 1, maxLength: 5 }), async (values) => {
        const finite = values.map((value) => (typeof value === 'number' && !Number.isFinite(value) ? 0 : value));
        const columns = finite.map((_value, index) => `? AS c${index}`).join(', ');
        const { rows } = await query(`SELECT ${columns}`, finite);
        // SQLite has one zero only.
        const expected = finite.map((value) => (Object.is(value, -0) ? 0 : value));
        expect(Object.values(rows[0] ?? {})).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps columns that are named like parts of objects as data', async () => {
    const { rows } = await query('SELECT 1 AS "__proto__", 2 AS "constructor"');
    expect(JSON.stringify(rows)).toBe('[{"__proto__":1,"constructor":2}]');
  });

  it.each<[string, string, string]>([
    ['two columns of one name', 'SELECT id, id FROM items', 'two columns named "id"'],
    ['a write', "UPDATE items SET name = 'x'", 'is UPDATE, which sql.query does not run'],
    ['a write behind WITH', "WITH a AS (SELECT 1) INSERT INTO items (name) SELECT 'x' FROM a", 'is INSERT'],
    ['a write that returns rows', 'DELETE FROM items RETURNING id', 'is DELETE'],
    ['ATTACH', "ATTACH 'other.db' AS other", 'is ATTACH'],
    ['DETACH', 'DETACH main', 'is DETACH'],
    ['PRAGMA', 'PRAGMA query_only = OFF', 'is PRAGMA'],
    ['PRAGMA behind EXPLAIN', 'EXPLAIN PRAGMA user_version = 3', 'is PRAGMA'],
    ['VACUUM INTO', "VACUUM INTO 'copy.db'", 'is VACUUM'],
    ['transaction control', 'COMMIT', 'is COMMIT'],
    ['load_extension', "SELECT load_extension('x')", 'not authorized'],
    ['what does not parse', 'SELECT FROM WHERE', 'near "FROM": syntax error'],
    ['a table that is not there', 'SELECT * FROM missing', 'no such table: missing'],
    ['a second statement', 'SELECT 1; DELETE FROM items', 'second statement'],
  ])('refuses %s', async (_name, statement, message) => {
    const failure = await failureOf(query(statement));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(failure.message).toContain(message);
    expect(failure.options.retryable).toBe(false);
    expect((await query('SELECT count(*) AS n FROM items')).rows).toEqual([{ n: 3 }]);
  });

  it('runs EXPLAIN QUERY PLAN', async () => {
    const { rows } = await query('EXPLAIN QUERY PLAN SELECT * FROM items WHERE id = 1');
    expect(rows[0]).toMatchObject({ detail: expect.stringContaining('items') });
  });

  it('does not repeat values in messages', async () => {
    const failure = await failureOf(query("SELECT json_extract('{}', :path)", { path: 'my secret' }));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(failure.message).toContain("bad JSON path: '…'");
    expect(JSON.stringify([failure.message, failure.cause, failure.data])).not.toContain('secret');
  });

  it('refuses more than 1.5 MiB of rows, however few there are', async () => {
    const failure = await failureOf(
      query('SELECT hex(zeroblob(400000)) AS a UNION ALL SELECT hex(zeroblob(400000)) || 1'),
    );
    expect(failure.data.code).toBe<ErrorCode>('BLW_RESULT_TOO_LARGE');
    expect(failure.options.retryable).toBe(false);
  });

  it('reads one row of a result that never ends', async () => {
    const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c';
    const { rows, truncated } = await query(endless, {}, 1);
    expect([rows, truncated]).toEqual([[{ x: 1 }], true]);
  });

  it('looks at the clock between rows', async () => {
    const count = `WITH RECURSIVE d(y) AS (SELECT x UNION ALL SELECT y + 1 FROM d LIMIT 5000) SELECT count(*) FROM d`;
    const slow = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT (${count}) AS n FROM c`;
    const failure = await failureOf(database.query({ statement: slow }, 10_000, limits(100)));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    expect(failure.options.retryable).toBe(true);
  });

  it('takes a deadline that is months away', async () => {
    const far = database.query({ statement: 'SELECT 1 AS one' }, 1, limits(60 * 86_400_000));
    await expect(far).resolves.toMatchObject({ rows: [{ one: 1 }] });
  });

  it('does not begin without time, or after it was cancelled', async () => {
    const late = await failureOf(database.query({ statement: 'SELECT 1' }, 1, limits(-1)));
    expect(late.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    const reason = new Error('cancelled by the test');
    await expect(database.query({ statement: 'SELECT 1' }, 1, limits(1_000, AbortSignal.abort(reason)))).rejects.toBe(
      reason,
    );
  });

  it('sees columns that another process has added since', async () => {
    await query('SELECT * FROM items');
    await besides((other) => other.exec("ALTER TABLE items ADD COLUMN extra TEXT DEFAULT 'new'"));
    const { columns, rows } = await query('SELECT * FROM items', {}, 1);
    expect(columns).toEqual(['id', 'name', 'price', 'data', 'extra']);
    expect(rows[0]).toMatchObject({ id: 1, extra: 'new' });
  });
});

describe('sql.execute on SQLite', () => {
  beforeEach(async () => {
    await transaction(
      'CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)',
      'CREATE TABLE words (word TEXT PRIMARY KEY) WITHOUT ROWID',
      'CREATE TABLE parts (id INTEGER PRIMARY KEY, item INTEGER REFERENCES items (id))',
    );
  });

  it('reports rows and the last id of an INSERT', async () => {
    await expect(execute('INSERT INTO items (name) VALUES (:a), (:b)', { a: 'pen', b: 'ink' })).resolves.toEqual({
      rowsAffected: 2,
      lastInsertId: 2,
    });
  });

  it.each<[string, string, unknown]>([
    ['an UPDATE', "UPDATE items SET name = 'x'", { rowsAffected: 1 }],
    ['a DELETE that finds nothing', 'DELETE FROM items WHERE id = 7', { rowsAffected: 0 }],
    ['an INSERT that ignores', "INSERT OR IGNORE INTO items (name) VALUES ('pen')", { rowsAffected: 0 }],
    [
      'an upsert that updates',
      "INSERT INTO items VALUES (1, 'y') ON CONFLICT DO UPDATE SET name = 'z'",
      { rowsAffected: 1 },
    ],
    ['an INSERT without rowid', "INSERT INTO words VALUES ('a')", { rowsAffected: 1 }],
    [
      'an INSERT with RETURNING',
      "INSERT INTO items (name) VALUES ('r') RETURNING id",
      { rowsAffected: 1, lastInsertId: 2 },
    ],
    ['a REPLACE', "REPLACE INTO items VALUES (1, 'new')", { rowsAffected: 1, lastInsertId: 1 }],
    ['DDL', 'CREATE INDEX i ON items (name)', { rowsAffected: 0 }],
  ])('reports %s', async (_name, statement, change) => {
    await execute("INSERT INTO items (name) VALUES ('pen')");
    await expect(execute(statement)).resolves.toEqual(change);
  });

  it('reports no id that belongs to an earlier INSERT', async () => {
    await execute("INSERT INTO items VALUES (7, 'pen')");
    await expect(execute("INSERT INTO words VALUES ('a')")).resolves.toEqual({ rowsAffected: 1 });
    await expect(execute('INSERT INTO parts VALUES (7, 7)')).resolves.toEqual({ rowsAffected: 1, lastInsertId: 7 });
  });

  it.each<[string, string, string]>([
    ['a value that must be unique', "INSERT INTO items (name) VALUES ('pen')", 'UNIQUE constraint failed: items.name'],
    ['a row that refers to none', 'INSERT INTO parts (item) VALUES (99)', 'FOREIGN KEY constraint failed'],
  ])('refuses %s, and does not retry', async (_name, statement, message) => {
    await execute("INSERT INTO items (name) VALUES ('pen')");
    const failure = await failureOf(execute(statement));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_CONSTRAINT');
    expect(failure.message).toContain(message);
    expect(failure.options.retryable).toBe(false);
  });

  it.each<[string, string, string]>([
    ['a SELECT', 'SELECT 1', 'is SELECT, which sql.execute does not run'],
    ['a temporary table', 'CREATE TEMP TABLE t (a)', 'temporary object'],
    ['a temporary table by its schema', 'CREATE TABLE IF NOT EXISTS temp.t (a)', 'temporary object'],
    ['dropping one', 'DROP TABLE temp.blw_rowid', 'temporary object'],
    ['transaction control', 'BEGIN', 'is BEGIN'],
    ['changing the schema by hand', "DELETE FROM sqlite_schema WHERE name = 'items'", 'may not be modified'],
  ])('refuses %s', async (_name, statement, message) => {
    const failure = await failureOf(execute(statement));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(failure.message).toContain(message);
  });

  it('is retried where another process writes for longer than the step can wait', async () => {
    await besides(async (other) => {
      other.exec('BEGIN IMMEDIATE');
      const started = Date.now();
      const failure = await failureOf(database.execute({ statement: "INSERT INTO words VALUES ('a')" }, limits(400)));
      expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
      expect(failure.options.retryable).toBe(true);
      expect(Date.now() - started).toBeLessThan(2_000);
      other.exec('ROLLBACK');
    });
    await expect(execute("INSERT INTO words VALUES ('a')")).resolves.toEqual({ rowsAffected: 1 });
  });

  it('writes nothing once the time is up', async () => {
    const slow = `INSERT INTO words WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000)
                  SELECT x FROM c`;
    const failure = await failureOf(database.execute({ statement: slow }, limits(20)));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_TIMEOUT');
    expect((await query('SELECT count(*) AS n FROM words')).rows).toEqual([{ n: 0 }]);
  });
});

describe('sql.transaction on SQLite', () => {
  beforeEach(async () => {
    await transaction(
      'CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0))',
      "INSERT INTO accounts VALUES ('alice', 10), ('bob', 0)",
    );
  });
  const balances = async () => (await query('SELECT balance FROM accounts ORDER BY id')).rows.map((row) => row.balance);

  it('has one result per statement, with the rows that some return', async () => {
    const results = await transaction(
      "UPDATE accounts SET balance = balance - 4 WHERE id = 'alice' RETURNING balance",
      "UPDATE accounts SET balance = balance + 4 WHERE id = 'bob'",
      'SELECT sum(balance) AS total FROM accounts',
      "INSERT INTO accounts VALUES ('carol', 1)",
    );
    expect(results).toEqual([
      { rowsAffected: 1, rows: [{ balance: 6 }] },
      { rowsAffected: 1 },
      { rowsAffected: 0, rows: [{ total: 10 }] },
      { rowsAffected: 1, lastInsertId: 3 },
    ]);
    await expect(balances()).resolves.toEqual([6, 4, 1]);
  });

  it.each<[string, string, ErrorCode]>([
    ['a constraint', "UPDATE accounts SET balance = -1 WHERE id = 'bob'", 'BLW_SQL_CONSTRAINT'],
    [
      'a constraint that rolls back by itself',
      "INSERT OR ROLLBACK INTO accounts VALUES ('bob', 1)",
      'BLW_SQL_CONSTRAINT',
    ],
    ['a missing table', 'DELETE FROM missing', 'BLW_SQL_STATEMENT'],
    ['transaction control', 'COMMIT', 'BLW_SQL_STATEMENT'],
  ])('does nothing at all where the second statement fails by %s', async (_name, second, code) => {
    const failure = await failureOf(transaction("UPDATE accounts SET balance = 5 WHERE id = 'alice'", second));
    expect(failure.data.code).toBe(code);
    expect(failure.message).toContain('database "shop", statement 2 of 2');
    await expect(balances()).resolves.toEqual([10, 0]);
    await expect(execute("DELETE FROM accounts WHERE id = 'bob'")).resolves.toEqual({ rowsAffected: 1 });
  });

  it('finds a violation that was deferred to the end', async () => {
    await execute('CREATE TABLE refs (account TEXT REFERENCES accounts (id) DEFERRABLE INITIALLY DEFERRED)');
    const failure = await failureOf(transaction("INSERT INTO refs VALUES ('nobody')"));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_CONSTRAINT');
    expect((await query('SELECT count(*) AS n FROM refs')).rows).toEqual([{ n: 0 }]);
  });

  it('returns at most 1,000 rows of a statement, and changes all of them', async () => {
    const numbers = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 1500)';
    await execute('CREATE TABLE numbers (x INTEGER PRIMARY KEY)');
    const [result] = await transaction(`${numbers} INSERT INTO numbers SELECT x FROM c RETURNING x`);
    expect([result?.rowsAffected, result?.rows?.length, result?.lastInsertId]).toEqual([1500, 1000, 1500]);
    expect((await query('SELECT count(*) AS n FROM numbers')).rows).toEqual([{ n: 1500 }]);
  });

  it('takes named values in each statement', async () => {
    const move = (id: string, amount: number): SqlStatement => ({
      statement: 'UPDATE accounts SET balance = balance + :amount WHERE id = :id',
      parameters: { id, amount },
    });
    await database.transaction([move('alice', -10), move('bob', 10)], limits());
    await expect(balances()).resolves.toEqual([0, 10]);
  });
});

const isRoot = process.getuid?.() === 0;
const named = isRoot ? '' : ' (skipped: a file system can be mounted by root only)';
(isRoot ? test : test.skip)(`opens a file anew that could not be written to${named}`, async () => {
  await execute('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  await database.close();
  // Keeps the files beside it, without which it could not be opened at all.
  const other = new Sqlite(file);
  other.prepare('SELECT id FROM t').all();
  execFileSync('mount', ['--bind', folder, folder]);
  try {
    execFileSync('mount', ['-o', 'remount,ro,bind', folder]);
    const failure = await failureOf(execute('INSERT INTO t VALUES (1)'));
    expect(failure).toMatchObject({ data: { code: 'BLW_SQL_FAILED' }, options: { retryable: true } });
    expect(failure.message).toContain('SQLITE_READONLY');
  } finally {
    execFileSync('umount', ['-l', folder]);
    other.close();
  }
  await execute('INSERT INTO t VALUES (2)');
  expect((await query('SELECT id FROM t')).rows).toEqual([{ id: 2 }]);
});
