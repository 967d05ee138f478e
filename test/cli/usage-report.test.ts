import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '../../src/worker/state/sqlite-store';
import { countApproval, countAttempts } from '../../src/worker/usage/usage-rules';
import { runInProcess } from '../helpers/cli-in-process';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  mkdirSync(join(folder, 'blobs'));
  let now = Date.UTC(2026, 10, 27, 12);
  const store = openSqliteStore(join(folder, 'blobs', 'state.sqlite'), () => now);
  const usage = { cpuMs: 1_500, peakMemoryBytes: 100 * 1_024 ** 2, bytesIn: 1_000, bytesOut: 2_048 };
  const count = (tenant: string, id: string, end: 'completed' | 'failed') =>
    store.run(() => countAttempts(tenant, [{ id, attempt: 1, end }], usage));
  await count('acme', 'a', 'completed');
  await count('globex', 'b', 'failed');
  now += 86_400_000;
  await count('acme', 'c', 'completed');
  await store.run(() => countApproval({ tenant: 'acme', id: 'd' }));
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const usage = (...flags: string[]) => runInProcess(['usage', ...flags], { cwd: folder });
const inBlobs = ['--blob-root', 'blobs'];

test('is a table by day and tenant, with sums where there are several days', async () => {
  const { code, stdout } = await usage(...inBlobs);
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'DAY         TENANT  STEPS  FAILURES  CPU TIME  PEAK MEMORY  READ     WRITTEN  BLOBS  APPROVALS',
    '2026-11-27  acme    1      0         1.5 s     100 MiB      1000 B   2.0 KiB  0      0',
    '2026-11-27  globex  0      1         1.5 s     100 MiB      1000 B   2.0 KiB  0      0',
    '2026-11-28  acme    1      0         1.5 s     100 MiB      1000 B   2.0 KiB  0      1',
    'all         acme    2      0         3.0 s     100 MiB      2.0 KiB  4.0 KiB  0      1',
    'all         globex  0      1         1.5 s     100 MiB      1000 B   2.0 KiB  0      0',
    '',
  ]);
});

test('is one JSON object with --json, of the tenant and the days that are asked for', async () => {
  const { stdout } = await usage(
    ...inBlobs,
    '--json',
    '--tenant',
    'acme',
    '--from',
    '2026-11-28',
    '--to',
    '2026-11-28',
  );
  const day = {
    tenant: 'acme',
    steps: 1,
    failures: 0,
    cpuMs: 1_500,
    peakMemoryBytes: 104_857_600,
    bytesIn: 1_000,
    bytesOut: 2_048,
    blobBytes: 0,
    approvals: 1,
  };
  expect(JSON.parse(stdout)).toEqual({ days: [{ day: '2026-11-28', ...day }], totals: [day] });
});

test('takes the store from --state-store, and says where nothing was used', async () => {
  const flags = ['--state-store', 'sqlite:blobs/state.sqlite', '--from', '2027-01-01'];
  expect(await usage(...flags)).toEqual({ code: 0, stdout: 'nothing was used\n', stderr: '' });
  const table = await usage('--state-store', 'sqlite:blobs/state.sqlite', '--from', '2026-11-28');
  expect(table.stdout.split('\n')).toHaveLength(3);
});

test.each([
  [['--from', '2026-02-30'], 2, 'Expected a day, such as 2026-11-28.'],
  [['--to', 'yesterday'], 2, 'Expected a day'],
  [
    ['--from', '2026-11-29', '--to', '2026-11-28'],
    2,
    '--from 2026-11-29 is after --to 2026-11-28; expected the first day, then the last [BLW_USAGE]',
  ],
  [['--blob-root', 'elsewhere'], 2, 'there is no state store at'],
  [['--state-store', 'postgres://nobody@127.0.0.1:1/none'], 1, 'the state store cannot be used'],
])('with %j ends with %d: %s', async (flags, code, message) => {
  const result = await usage(...flags);
  expect(result.code).toBe(code);
  expect(result.stderr).toContain(message);
});
