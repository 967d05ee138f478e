import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockExecutor } from '../../src/activities/block';
import { sqlExecute } from '../../src/activities/blocks/sql-execute';
import { sqlQuery } from '../../src/activities/blocks/sql-query';
import { sqlTransaction } from '../../src/activities/blocks/sql-transaction';
import { createSqlDatabases } from '../../src/activities/ports/configured-databases';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import type { ErrorCode } from '../../src/dsl/error-codes';
import type { JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';

let folder: string;
let databases: SqlDatabases;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blw-sql-'));
  databases = createSqlDatabases([{ name: 'shop', kind: 'sqlite', file: join(folder, 'shop.db') }]);
  const statements = [
    'CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)',
    "INSERT INTO items (name) VALUES ('pen'), ('ink')",
  ];
  await run(sqlTransaction, { statements: statements.map((statement) => ({ statement })) });
});

afterEach(async () => {
  await databases.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (executor: BlockExecutor, args: JsonObject) =>
  executor({ database: 'shop', ...args }, makeContext({ databases }));

describe('the SQL blocks', () => {
  it('put out what their specs promise', async () => {
    await expect(run(sqlQuery, { statement: 'SELECT * FROM items', maxRows: 1 })).resolves.toEqual({
      columns: ['id', 'name'],
      rows: [{ id: 1, name: 'pen' }],
      rowCount: 1,
      truncated: true,
    });
    await expect(
      run(sqlExecute, { statement: 'INSERT INTO items (name) VALUES (?)', parameters: ['pad'] }),
    ).resolves.toEqual({ rowsAffected: 1, lastInsertId: 3 });
    await expect(
      run(sqlTransaction, {
        statements: [
          { statement: 'DELETE FROM items WHERE id = :id', parameters: { id: 1 } },
          { statement: 'SELECT count(*) AS n FROM items' },
        ],
      }),
    ).resolves.toEqual({ results: [{ rowsAffected: 1 }, { rowsAffected: 0, rows: [{ n: 2 }] }] });
  });

  it('return 1,000 rows unless they are asked for more', async () => {
    const statement = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c';
    await expect(run(sqlQuery, { statement })).resolves.toMatchObject({ rowCount: 1_000, truncated: true });
    await expect(run(sqlQuery, { statement, maxRows: 2_500 })).resolves.toMatchObject({
      rowCount: 2_500,
      truncated: true,
    });
  });

  it.each<[string, BlockExecutor, JsonObject, string]>([
    ['a database that is no name', sqlQuery, { database: 7, statement: 'SELECT 1' }, 'with.database: got a number'],
    ['no statement', sqlExecute, {}, 'with.statement: got nothing, expected SQL text'],
    ['parameters that are text', sqlQuery, { statement: 'SELECT 1', parameters: 'x' }, 'with.parameters: got a string'],
    ['rows that are no number', sqlQuery, { statement: 'SELECT 1', maxRows: 'x' }, 'with.maxRows: got a string'],
    ['statements that are no list', sqlTransaction, { statements: {} }, 'with.statements: got an object'],
    ['a statement that is no object', sqlTransaction, { statements: ['x'] }, 'with.statements[0]: got a string'],
    ['an entry without statement', sqlTransaction, { statements: [{}] }, 'with.statements[0].statement: got nothing'],
  ])('refuse %s', async (_name, executor, args, message) => {
    const failure = await failureOf((async () => run(executor, args))());
    expect(failure.data.code).toBe<ErrorCode>('BLW_ARG_INVALID');
    expect(failure.message).toContain(message);
    expect(failure.options.retryable).toBe(false);
  });
});
