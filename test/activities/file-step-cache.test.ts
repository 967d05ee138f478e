import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createFileBlobStore } from '../../src/activities/ports/file-blob-store';
import { createFileStepCache } from '../../src/activities/ports/file-step-cache';
import type { StepCache } from '../../src/activities/ports/step-cache';
import { filesUnder } from '../helpers/blob-store-fixture';

const DIGEST = 'ab'.repeat(32);
const ID = { tenant: 'acme', digest: DIGEST };
const HOUR_MS = 3_600_000;

let base: string;
let root: string;
let now: number;
let cache: StepCache;
const open = () => createFileStepCache({ root, now: () => now });
const entryFile = () => join(root, 'cache', 'acme=t', 'ab', DIGEST);

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'beamline-test-')));
  root = join(base, 'blobs');
  await mkdir(root);
  now = Date.now();
  cache = open();
});
afterEach(() => rm(base, { recursive: true, force: true }));

test('gives an output back, to every store on the same root', async () => {
  expect(await cache.get(ID, HOUR_MS)).toBeUndefined();
  await cache.put(ID, { a: [1, null, 'ü'] }, HOUR_MS);
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: { a: [1, null, 'ü'] } });
  expect(await open().get(ID, HOUR_MS)).toEqual({ output: { a: [1, null, 'ü'] } });
  expect(await cache.get({ ...ID, digest: 'cd'.repeat(32) }, HOUR_MS)).toBeUndefined();
});

test.each([[null], [0], [false], [''], [[]]])('tells the output %j from none', async (output) => {
  await cache.put(ID, output, HOUR_MS);
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output });
});

test('gives an output up to the age that is asked for', async () => {
  await cache.put(ID, 'a', HOUR_MS);
  now += 1_000;
  expect(await cache.get(ID, 1_000)).toEqual({ output: 'a' });
  expect(await cache.get(ID, 999)).toBeUndefined();
  now += HOUR_MS - 1_000;
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'a' });
  now += 1;
  expect(await cache.get(ID, HOUR_MS)).toBeUndefined();
});

test('does not use an output from the future for longer, where the clock was set back', async () => {
  await cache.put(ID, 'a', 1_000);
  now -= 1_000;
  expect(await cache.get(ID, 1_000)).toEqual({ output: 'a' });
  now -= 1;
  expect(await cache.get(ID, 1_000)).toBeUndefined();
});

test('puts a newer output in the place of an older one, and its age starts anew', async () => {
  await cache.put(ID, 'old', HOUR_MS);
  now += HOUR_MS;
  await cache.put(ID, 'new', HOUR_MS);
  now += HOUR_MS;
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'new' });
  expect(await filesUnder(root)).toEqual([entryFile()]);
});

test('keeps tenants apart, also those whose names differ in case only', async () => {
  await cache.put(ID, 'of acme', HOUR_MS);
  for (const tenant of ['Acme', 'acme2', 'default', 'a/../acme']) {
    expect(await cache.get({ ...ID, tenant }, HOUR_MS)).toBeUndefined();
  }
  await cache.put({ ...ID, tenant: 'Acme' }, 'of Acme', HOUR_MS);
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'of acme' });
});

test('leaves one whole output where many are put at the same time', async () => {
  const stores = [open(), open(), open()];
  const outputs = Array.from({ length: 30 }, (_, index) => `${index}`.repeat(20_000));
  await Promise.all(outputs.map((output, index) => stores[index % 3]?.put(ID, output, HOUR_MS)));
  expect(outputs).toContain((await cache.get(ID, HOUR_MS))?.output);
  expect(await filesUnder(root)).toEqual([entryFile()]);
});

test.each([
  ['empty', ''],
  ['cut off', '{"storedAt":1,"outp'],
  ['of another form', '["a"]'],
  ['without an output', '{"storedAt":1}'],
])('takes a file that is %s for none, and replaces it', async (_how, text) => {
  await cache.put(ID, 'a', HOUR_MS);
  await writeFile(entryFile(), text);
  expect(await cache.get(ID, HOUR_MS)).toBeUndefined();
  await cache.put(ID, 'b', HOUR_MS);
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'b' });
});

test('keeps its files from other users', async () => {
  await cache.put(ID, 'a', HOUR_MS);
  for (const place of [entryFile(), dirname(entryFile()), join(root, 'cache')]) {
    expect((await stat(place)).mode & 0o077).toBe(0);
  }
});

test('refuses links, and neither reads, writes nor sweeps through one', async () => {
  await cache.put(ID, 'a', HOUR_MS);
  const outside = join(base, 'outside');
  await rename(join(root, 'cache'), outside);
  await symlink(outside, join(root, 'cache'));
  now += 2 * HOUR_MS;
  const linked = expect.objectContaining({ message: expect.stringContaining('symbolic link') as string }) as Error;
  await expect(cache.get(ID, HOUR_MS)).rejects.toEqual(linked);
  await expect(cache.put(ID, 'b', HOUR_MS)).rejects.toEqual(linked);
  await expect(cache.sweep()).rejects.toEqual(linked);
  expect(await readFile(join(outside, 'acme=t', 'ab', DIGEST), 'utf8')).toContain('"a"');
});

test('fails where its folder is gone, and works again once it is back', async () => {
  await rename(root, join(base, 'away'));
  await expect(cache.get(ID, HOUR_MS)).rejects.toThrow('ENOENT');
  await expect(cache.put(ID, 'a', HOUR_MS)).rejects.toThrow('ENOENT');
  await rename(join(base, 'away'), root);
  await cache.put(ID, 'a', HOUR_MS);
  expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'a' });
});

describe('sweep', () => {
  test('removes what is older than it was kept for, of every tenant', async () => {
    await cache.put(ID, 'for an hour', HOUR_MS);
    await cache.put({ tenant: 'b', digest: DIGEST }, 'for a second', 1_000);
    await cache.put({ tenant: 'acme', digest: `cc${DIGEST.slice(2)}` }, 'for a second', 1_000);
    now += 1_000;
    expect(await cache.sweep()).toEqual({ removed: 0, freedBytes: 0 });
    now += 1;
    const swept = await cache.sweep();
    expect(swept.removed).toBe(2);
    expect(swept.freedBytes).toBeGreaterThan(2 * 'for a second'.length);
    expect(await filesUnder(root)).toEqual([entryFile()]);
    expect(await cache.get(ID, HOUR_MS)).toEqual({ output: 'for an hour' });
  });

  test('removes what an interrupted write left a day ago', async () => {
    await cache.put(ID, 'a', 48 * HOUR_MS);
    const [fresh, old] = ['fresh', 'old'].map((name) => join(root, 'cache', 'temporary', name));
    for (const file of [fresh, old]) await writeFile(file ?? '', 'x');
    const dayAgo = new Date(now - 24 * HOUR_MS - 2_000);
    await utimes(old ?? '', dayAgo, dayAgo);
    expect(await cache.sweep()).toEqual({ removed: 1, freedBytes: 1 });
    expect(await readdir(join(root, 'cache', 'temporary'))).toEqual(['fresh']);
  });

  test('finds nothing where nothing was ever put', async () => {
    expect(await cache.sweep()).toEqual({ removed: 0, freedBytes: 0 });
  });
});

test('is neither seen nor swept by the blob store on the same root', async () => {
  const blobs = await createFileBlobStore({ root });
  try {
    await cache.put(ID, 'a', 1);
    expect(await blobs.sweep({ graceMs: -HOUR_MS })).toEqual({ removed: 0, freedBytes: 0 });
    for (const tenant of ['acme', 'cache'])
      expect(await blobs.list(tenant, { prefix: '', limit: 9 })).toEqual({ entries: [] });
    await blobs.put('cache', 'temporary/a', Buffer.from('blob'));
    now += HOUR_MS;
    expect((await cache.sweep()).removed).toBe(1);
    expect((await blobs.read('cache', 'temporary/a', 9))?.content.toString()).toBe('blob');
  } finally {
    blobs.close();
  }
});
