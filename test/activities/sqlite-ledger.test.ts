import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { sqlExecute } from '../../src/activities/blocks/sql-execute';
import { sqlQuery } from '../../src/activities/blocks/sql-query';
import { sqlTransaction } from '../../src/activities/blocks/sql-transaction';
import { createSqlDatabases } from '../../src/activities/ports/configured-databases';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import type { ErrorCode } from '../../src/dsl/error-codes';
import type { JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';

let folder: string;
let file: string;
let databases: SqlDatabases;
/** The database as a stranger sees it. */
let besides: Sqlite.Database;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'blw-ledger-'));
  file = join(folder, 'shop.db');
  databases = createSqlDatabases([{ name: 'shop', kind: 'sqlite', file }]);
  besides = new Sqlite(file, { timeout: 0 });
  besides.pragma('journal_mode = WAL');
  besides.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)');
});

afterEach(async () => {
  besides.close();
  await databases.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Attempt {
  readonly key?: string;
  readonly step?: JsonObject;
  readonly timeoutMs?: number;
}

const contextOf = ({ key = 'acme:flow-1:/do/0/put:0:0', step = {}, timeoutMs = 10_000 }: Attempt) =>
  makeContext({ databases }, { step: { idempotencyKey: key, blockType: 'sql.execute', ...step }, timeoutMs });
const execute = (statement: string, attempt: Attempt = {}) =>
  sqlExecute({ database: 'shop', statement }, contextOf(attempt));
const transaction = (statements: string[], attempt: Attempt = {}) =>
  sqlTransaction(
    { database: 'shop', statements: statements.map((statement) => ({ statement })) },
    contextOf({ ...attempt, step: { blockType: 'sql.transaction' } }),
  );
const count = (table: string): unknown => besides.prepare(`SELECT count(*) FROM ${table}`).pluck().get();

const INSERT = "INSERT INTO items (name) VALUES ('pen')";

describe('the ledger of a SQLite database', () => {
  it('gives a repeat what the first attempt gave, and writes nothing again', async () => {
    const first = await execute(INSERT);
    besides.exec("INSERT INTO items (name) VALUES ('someone else')");
    expect(first).toEqual({ rowsAffected: 1, lastInsertId: 1 });
    expect(await execute(INSERT, { step: { attempt: 2 } })).toEqual(first);
    expect(count('items')).toBe(2);
  });

  it('gives a repeat of a transaction the rows that the first attempt read', async () => {
    const work = [
      INSERT,
      "SELECT id, name, x'00ff' AS bytes, 9007199254740993 AS large FROM items",
      "UPDATE items SET name = 'ink' RETURNING id, name",
    ];
    const first = await transaction(work);
    expect(await transaction(work)).toEqual(first);
    expect(JSON.stringify(first)).toContain('"large":"9007199254740993"');
    expect(count('items')).toBe(1);
  });

  it.each<[string, Attempt]>([
    ['another key', { key: 'acme:flow-1:/do/0/put:1:0' }],
    ['other arguments under the same key', { step: { argumentsDigest: 'other' } }],
    ['a step that may run twice', { step: { idempotent: true } }],
  ])('does not hold up %s', async (_name, attempt) => {
    await execute(INSERT);
    await execute(INSERT, attempt);
    expect(count('items')).toBe(2);
  });

  it('records nothing of a write that failed, so that a repeat does it', async () => {
    besides.exec("CREATE TRIGGER no BEFORE INSERT ON items BEGIN SELECT raise(ABORT, 'not now'); END");
    expect((await failureOf(execute(INSERT))).data.code).toBe<ErrorCode>('BLW_SQL_CONSTRAINT');
    besides.exec('DROP TRIGGER no');
    await execute(INSERT);
    expect([count('items'), count('beamline_ledger')]).toEqual([1, 1]);
  });

  it('records nothing of what reads', async () => {
    await sqlQuery({ database: 'shop', statement: 'SELECT * FROM items' }, contextOf({}));
    await transaction(['SELECT * FROM items', 'WITH a AS (VALUES (1)) SELECT * FROM a']);
    expect(besides.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'beamline%'").all()).toEqual([]);
  });

  it('has one effect where two processes do the same at once, each with a connection of its own', async () => {
    const others = Array.from({ length: 3 }, () => createSqlDatabases([{ name: 'shop', kind: 'sqlite', file }]));
    try {
      const results = await Promise.all(
        [databases, ...others].map((own) =>
          sqlExecute(
            { database: 'shop', statement: INSERT },
            { ...contextOf({}), ports: { ...contextOf({}).ports, databases: own } },
          ),
        ),
      );
      expect(new Set(results.map((result) => JSON.stringify(result)))).toEqual(
        new Set(['{"rowsAffected":1,"lastInsertId":1}']),
      );
      expect(count('items')).toBe(1);
    } finally {
      await Promise.all(others.map((other) => other.close()));
    }
  });

  it('is retryable while another writer holds the file, and has one effect once it is free', async () => {
    besides.exec('BEGIN IMMEDIATE');
    const failure = await failureOf(execute(INSERT, { timeoutMs: 300 }));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_UNAVAILABLE');
    expect(failure.options.retryable).toBe(true);
    besides.exec('COMMIT');
    const first = await execute(INSERT);
    expect(await execute(INSERT)).toEqual(first);
    expect(count('items')).toBe(1);
  });

  it('is made anew where it was dropped', async () => {
    await execute(INSERT);
    besides.exec('DROP TABLE beamline_ledger');
    await execute('DELETE FROM items WHERE id = 7');
    expect(count('beamline_ledger')).toBe(1);
  });

  it('forgets what is older than its retention, some rows with a write', async () => {
    await execute(INSERT);
    besides.exec(`
      WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 150)
      INSERT INTO beamline_ledger SELECT 'old ' || n, 'step', n, '{}' FROM c`);
    for (let n = 1; n <= 64; n += 1) await execute(INSERT, { key: `acme:flow-1:/do/0/put:${n}:0` });
    expect(count("beamline_ledger WHERE key LIKE 'old %'")).toBe(0);
    expect(count('beamline_ledger')).toBe(65);
  });

  it.each([
    'DELETE FROM beamline_ledger',
    'DELETE FROM "BEAMLINE_LEDGER"',
    'DELETE FROM main.[beamline_ledger]',
    'DROP INDEX beamline_ledger_recorded_at',
    'DROP TABLE `beamline_ledger`',
    'ALTER TABLE items RENAME TO beamline_ledger',
    "INSERT INTO items (name) SELECT result FROM 'beamline_ledger'",
    'CREATE TRIGGER t AFTER INSERT ON beamline_ledger BEGIN SELECT 1; END',
    'CREATE TRIGGER t AFTER INSERT ON items BEGIN DELETE FROM beamline_ledger; END',
    'CREATE VIEW v AS SELECT * FROM beamline_ledger',
  ])('is out of reach of a step: %s', async (statement) => {
    await execute(INSERT);
    const failure = await failureOf(execute(statement, { step: { idempotent: true } }));
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(failure.message).toContain('which is not for steps');
    expect(count('beamline_ledger')).toBe(1);
  });

  it('cannot be read by a step', async () => {
    await execute(INSERT);
    const failure = await failureOf(
      sqlQuery({ database: 'shop', statement: 'SELECT * FROM beamline_ledger' }, contextOf({})),
    );
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
  });
});
