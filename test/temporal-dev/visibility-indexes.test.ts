import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { leaveOutMissingValues } from '../../temporal-dev/visibility-indexes';
import { makeFolder, removeFolders } from './fake-commands';

const INDEX = 'CREATE INDEX by_int_01 ON executions_visibility (namespace_id, Int01, run_id)';
const WHOLE = 'CREATE INDEX by_status ON executions_visibility (namespace_id, status, run_id)';

let dbFile: string;

beforeEach(() => {
  dbFile = join(makeFolder(), 'temporal.db');
});
afterAll(removeFolders);

function make(flows: number): void {
  inDatabase((database) => {
    database.exec(`CREATE TABLE executions_visibility (namespace_id TEXT NOT NULL, run_id TEXT NOT NULL, status INT NOT NULL, data TEXT,
      Int01 BIGINT GENERATED ALWAYS AS (JSON_EXTRACT(data, '$.Int01'))); ${INDEX}; ${WHOLE}`);
    const insert = database.prepare("INSERT INTO executions_visibility VALUES ('n', ?, 1, '{}')");
    database.transaction(() => {
      for (let index = 0; index < flows; index += 1) insert.run(String(index));
    })();
  });
}

function inDatabase<T>(work: (database: Sqlite.Database) => T): T {
  const database = new Sqlite(dbFile);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

const indexes = () =>
  inDatabase((database) =>
    database.prepare("SELECT sql FROM sqlite_schema WHERE type = 'index' ORDER BY name").pluck().all(),
  );

describe('indexes of what lists show', () => {
  test('are changed where a column may have no value, once', () => {
    make(10_000);
    leaveOutMissingValues(dbFile);
    const changed = [`${INDEX} WHERE Int01 IS NOT NULL`, WHOLE];
    expect(indexes()).toEqual(changed);
    leaveOutMissingValues(dbFile);
    expect(indexes()).toEqual(changed);
  });

  test('stay as they are where there are so many flows that it would take long', () => {
    make(10_001);
    expect(() => leaveOutMissingValues(dbFile)).toThrow('it has more than 10000 flows');
    expect(indexes()).toEqual([INDEX, WHOLE]);
  });

  test('stay as they are while somebody else writes', () => {
    make(1);
    inDatabase((other) => {
      other.exec('BEGIN IMMEDIATE');
      expect(() => leaveOutMissingValues(dbFile)).toThrow('database is locked');
      other.exec('ROLLBACK');
    });
    expect(indexes()).toEqual([INDEX, WHOLE]);
  });

  test('of another schema are left alone', () => {
    inDatabase((database) => database.exec('CREATE TABLE others (a TEXT)'));
    leaveOutMissingValues(dbFile);
    expect(indexes()).toEqual([]);
  });
});
