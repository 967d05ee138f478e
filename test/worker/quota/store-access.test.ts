import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { surveyLines } from '../../../src/worker/quota/line-survey';
import { StoreAccess } from '../../../src/worker/quota/store-access';
import { tryWrite } from '../../../src/worker/state/duties';
import { openSqliteStore } from '../../../src/worker/state/sqlite-store';
import type { StateStore } from '../../../src/worker/state/state-store';
import { logConditions } from '../../../src/worker/telemetry/condition-log';
import { Conditions } from '../../../src/worker/telemetry/conditions';

let folder: string;
let store: StateStore;
let other: Sqlite.Database;
let conditions: Conditions;
let lines: string[];
let changes: boolean[];
let access: StoreAccess;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  const file = join(folder, 'state.sqlite');
  store = openSqliteStore(file);
  await store.run(() => tryWrite('w'));
  other = new Sqlite(file);
  conditions = new Conditions();
  lines = [];
  changes = [];
  conditions.onChange((_, now) => changes.push(now !== undefined));
  conditions.use('state_store');
  const logger = { log: (_level: string, message: string) => void lines.push(message) };
  logConditions(conditions, logger);
  access = new StoreAccess(store, logger, { onStore: (problem) => conditions.tell('state_store', problem) });
});
afterEach(async () => {
  other.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const write = () => access.run(() => tryWrite('w')).catch((error: unknown) => access.warn(error));
const read = () => access.run(() => surveyLines('w'), { isReading: true });

test('a store whose writes are locked is away without a break until something is written, though it can be read', async () => {
  other.exec('BEGIN EXCLUSIVE');
  await write();
  const since = conditions.find('state_store')?.since;
  for (let times = 0; times < 2; times += 1) {
    expect(await read()).toMatchObject({ lines: [] });
    await write();
  }
  expect([access.isOut, conditions.find('state_store')?.since]).toEqual([true, since]);
  other.exec('ROLLBACK');
  await read();
  expect(access.isOut).toBe(true);
  await write();
  expect([access.isOut, conditions.list()]).toEqual([false, []]);
  expect(changes).toEqual([false, true, false]);
  expect(lines).toEqual([
    'the state store does not answer; steps of tenants with quotas wait',
    'the state store answers again',
  ]);
  expect(other.prepare("SELECT count(*) FROM beamline_duties WHERE name LIKE 'try:%'").pluck().get()).toBe(0);
}, 20_000);

test('a store that did not answer when it was opened is back once something was written', async () => {
  conditions.degrade('state_store', 'no answer');
  const opened = new StoreAccess(
    store,
    { log: () => undefined },
    {
      onStore: (problem) => conditions.tell('state_store', problem),
      isOut: true,
    },
  );
  await opened.run(() => surveyLines('w'), { isReading: true });
  expect(conditions.find('state_store')?.message).toBe('no answer');
  await opened.run(() => tryWrite('w'));
  expect(conditions.list()).toEqual([]);
});
