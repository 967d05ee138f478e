import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execute, query } from '../../../src/worker/state/rule';
import { storeKinds } from '../../helpers/state-stores';

const DIST = join(__dirname, '..', '..', '..', 'dist', 'src', 'worker');
const run = promisify(execFile);

const PROCESSES = 3;
const LANES = 6;
const STEPS = 40;
const LIMIT = 3;

/**
 * A process whose lanes take places and give them back. While one is held, it is in a table beside, which counts independently of
 * the rules how many are held at once.
 */
const HOLDER = `
const [flag, name] = process.argv.slice(2);
const { openStateStore, parseStateStore } = require(${JSON.stringify(join(DIST, 'state', 'open-state-store.js'))});
const { query, execute } = require(${JSON.stringify(join(DIST, 'state', 'rule.js'))});
const { askForPlace, offerPlaces } = require(${JSON.stringify(join(DIST, 'quota', 'place-rules.js'))});
const { lockTenant } = require(${JSON.stringify(join(DIST, 'quota', 'lines.js'))});
const store = openStateStore(parseStateStore(flag, { cwd: '/', blobRoot: '/' }));
const quotas = { concurrentSteps: ${LIMIT} };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function hold(id) {
  const asker = { tenant: 'acme', kind: 'step', ticket: id, lease: id, worker: name, namespace: 'n', flowId: id, priority: 3 };
  for (;;) {
    const { wait } = await store.run(() => askForPlace(asker, quotas), { tenant: 'acme' });
    if (wait === undefined) break;
    // In place of the signal, which needs a Temporal.
    await pause(2 + Math.random() * 4);
  }
  await store.run(function* () {
    yield* execute('INSERT INTO held (id) VALUES (?)', id);
    yield* execute('INSERT INTO seen (held) SELECT count(*) FROM held');
  }, { tenant: 'acme' });
  await pause(Math.random() * 3);
  await store.run(() => execute('DELETE FROM held WHERE id = ?', id), { tenant: 'acme' });
  await store.run(function* () {
    const tenant = yield* lockTenant('acme');
    yield* execute('DELETE FROM beamline_leases WHERE id = ?', id);
    return yield* offerPlaces(tenant, 'step', quotas);
  }, { tenant: 'acme' });
}
async function lane(lane) {
  for (let step = 0; step < ${STEPS}; step += 1) await hold(name + '-' + lane + '-' + step);
}
Promise.all(Array.from({ length: ${LANES} }, (_, index) => lane(index))).then(() => store.close());
`;

describe.each(storeKinds())('places that several processes take at once, in $name', (kind) => {
  let folder: string;
  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('are never more than allowed, and everybody gets one', async () => {
    const store = kind.open();
    const script = join(folder, 'holder.js');
    writeFileSync(script, HOLDER);
    try {
      await store.run(function* () {
        yield* execute('CREATE TABLE held (id TEXT PRIMARY KEY)');
        yield* execute('CREATE TABLE seen (held BIGINT)');
      });
      const names = Array.from({ length: PROCESSES }, (_, index) => `p${index}`);
      await Promise.all(names.map((name) => run(process.execPath, [script, kind.flag(), name])));
      const [seen] = await store.run(() =>
        query<{ most: number; count: number }>('SELECT max(held) AS most, count(*) AS count FROM seen'),
      );
      expect(seen).toEqual({ most: LIMIT, count: PROCESSES * LANES * STEPS });
      const rows = await store.run(() => query('SELECT id FROM beamline_leases UNION SELECT id FROM beamline_tickets'));
      expect(rows).toEqual([]);
    } finally {
      await store.close();
    }
  }, 120_000);
});
