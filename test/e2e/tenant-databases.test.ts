import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

let folder: string;
let fixture: TestWorker;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blw-tenant-databases-'));
  const at = (file: string) => `sqlite:${join(folder, file)}`;
  fixture = await startTestWorker({
    database: [`shop=${at('all.db')}`, `acme/shop=${at('acme.db')}`, `globex/books=${at('globex.db')}`],
  });
});

afterAll(async () => {
  await fixture?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const notes = (resources: string) => `do:
  - make: { call: sql.execute, metadata: { resources: ${resources} }, with: { database: shop, statement: CREATE TABLE IF NOT EXISTS notes (tenant TEXT) } }
  - write: { call: sql.execute, metadata: { resources: ${resources} }, with: { database: shop, statement: 'INSERT INTO notes VALUES (:t)', parameters: { t: '\${ workflow.input }' } } }
  - read:
      call: sql.query
      metadata: { resources: ${resources} }
      with: { database: shop, statement: SELECT tenant FROM notes ORDER BY tenant }
      output: { as: 'data.rows.map(r, r.tenant)' }
`;

test.each(['io', 'cpu'])("a database of one tenant is that tenant's alone, in steps of class %s", async (resources) => {
  const run = (tenant: string) => fixture.run(notes(resources), `${tenant} on ${resources}`, { tenant });
  await run('globex');
  await run('initech');
  const seen = await run('acme');
  expect(seen).toContain(`acme on ${resources}`);
  expect(JSON.stringify(seen)).not.toMatch(/globex|initech/);
  const others = await run('globex');
  expect(others).toEqual(expect.arrayContaining([`globex on ${resources}`, `initech on ${resources}`]));
  expect(JSON.stringify(others)).not.toContain('acme');
});

test.each(['books', 'globex/books', 'globex/shop', '../globex/books'])(
  'a tenant does not reach the database of another as %s, nor learns of it',
  async (database) => {
    const flow = `do: [{ q: { call: sql.query, with: { database: '${database}', statement: SELECT 1 AS one } } }]`;
    const error = await fixture.fail(flow, null, { tenant: 'acme' });
    expect(error).toMatchObject({ code: 'BLW_SQL_DATABASE_UNKNOWN' });
    expect(String(error.detail)).toContain('there are: shop;');
    expect(existsSync(join(folder, 'globex.db'))).toBe(false);
  },
);
