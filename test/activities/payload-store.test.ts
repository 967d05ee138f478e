import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { objectFile, PayloadStore } from '../../src/activities/payloads/payload-store';
import { sweepPayloads } from '../../src/activities/payloads/payload-sweep';
import { createFileBlobStore } from '../../src/activities/ports/file-blob-store';
import { type Compiled, compileSources } from '../helpers/compiled';

const DAY_MS = 86_400_000;

let blobRoot: string;
let store: PayloadStore;
beforeEach(() => {
  blobRoot = mkdtempSync(join(tmpdir(), 'payloads-'));
  store = new PayloadStore({ blobRoot, canCreate: true });
});
afterEach(() => rmSync(blobRoot, { recursive: true, force: true }));

const text = (content: string) => new TextEncoder().encode(content);
const fileOf = (sha256: string) => objectFile(store.folder, sha256);
const temporary = () => readdirSync(join(store.folder, 'temporary'));

/** Makes content look as if it had not been used for so many days. */
function age(sha256: string, days: number): void {
  const then = new Date(Date.now() - days * DAY_MS);
  utimesSync(fileOf(sha256), then, then);
}

test('gives back what was put, under its hash, and leaves nothing else behind', async () => {
  const id = await store.put(text('hello'));
  expect(id).toEqual({ sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', size: 5 });
  expect(Buffer.from(await store.get(id)).toString()).toBe('hello');
  expect(temporary()).toEqual([]);
});

test('only the user of the worker may read it', async () => {
  const { sha256 } = await store.put(text('secret'));
  expect(statSync(fileOf(sha256)).mode & 0o077).toBe(0);
  expect(statSync(join(store.folder, 'key')).mode & 0o077).toBe(0);
});

test('writes equal content once, and starts its age anew with every write and read', async () => {
  const id = await store.put(text('same'));
  const { ino } = statSync(fileOf(id.sha256));
  for (const use of [() => store.put(text('same')), () => store.get(id)]) {
    age(id.sha256, 5);
    await use();
    expect(statSync(fileOf(id.sha256)).mtimeMs).toBeGreaterThan(Date.now() - DAY_MS);
  }
  expect(statSync(fileOf(id.sha256)).ino).toBe(ino);
});

test('content that was cut off is written again', async () => {
  const id = await store.put(text('whole'));
  writeFileSync(fileOf(id.sha256), 'who');
  await store.put(text('whole'));
  expect(Buffer.from(await store.get(id)).toString()).toBe('whole');
});

test('says which content is missing and where it looked', async () => {
  const id = await store.put(text('gone'));
  rmSync(fileOf(id.sha256));
  const error = await store.get(id).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ data: { code: 'BLW_PAYLOAD_MISSING' }, options: { retryable: false } });
  expect(String(error)).toContain(store.folder);
  expect(String(error)).toContain(id.sha256);
});

test('does not give out content that was changed', async () => {
  const id = await store.put(text('right'));
  writeFileSync(fileOf(id.sha256), 'wrong');
  await expect(store.get(id)).rejects.toMatchObject({ data: { code: 'BLW_PAYLOAD_DAMAGED' } });
});

test('a store that is gone as a whole says nothing about its contents: that may pass', async () => {
  const id = await store.put(text('mounted'));
  rmSync(store.folder, { recursive: true });
  await expect(store.get(id)).rejects.toMatchObject({
    data: { code: 'BLW_PAYLOAD_STORE' },
    options: { retryable: true },
  });
});

test('a client makes no store', async () => {
  const client = new PayloadStore({ blobRoot: join(blobRoot, 'none'), canCreate: false });
  await expect(client.put(text('x'))).rejects.toMatchObject({ data: { code: 'BLW_PAYLOAD_STORE' } });
  expect(existsSync(join(blobRoot, 'none'))).toBe(false);
});

test('no blob of a tenant is in the store, and no path of one leads there', async () => {
  const id = await store.put(text('not yours'));
  const blobs = await createFileBlobStore({ root: blobRoot });
  for (const tenant of ['payloads', '..', '.', 'payloads/objects']) {
    expect(await blobs.list(tenant, { prefix: '', limit: 10 })).toEqual({ entries: [] });
    await blobs.put(tenant, `objects/${id.sha256.slice(0, 2)}/${id.sha256}`, text('mine'));
  }
  await blobs.sweep({ graceMs: -DAY_MS });
  blobs.close();
  expect(Buffer.from(await store.get(id)).toString()).toBe('not yours');
});

describe('a sweep', () => {
  test('removes what was not used for longer than the retention, and only that', async () => {
    const [old, used] = [await store.put(text('old')), await store.put(text('used'))];
    age(old.sha256, 8);
    age(used.sha256, 6);
    expect(await sweepPayloads(store.folder, { retentionMs: 7 * DAY_MS })).toEqual({ removed: 1, freedBytes: 3 });
    expect(existsSync(fileOf(old.sha256))).toBe(false);
    expect(existsSync(fileOf(used.sha256))).toBe(true);
    expect(temporary()).toEqual([]);
  });

  test('removes no content without a retention, but the leftovers of interrupted writes', async () => {
    const { sha256 } = await store.put(text('kept'));
    age(sha256, 10_000);
    const leftover = join(store.folder, 'temporary', 'half');
    writeFileSync(leftover, 'ha');
    utimesSync(leftover, new Date(0), new Date(0));
    expect(await sweepPayloads(store.folder, { retentionMs: undefined })).toEqual({ removed: 1, freedBytes: 2 });
    expect(existsSync(fileOf(sha256))).toBe(true);
  });

  test('puts back what an interrupted sweep had moved aside and is in use', async () => {
    const id = await store.put(text('aside'));
    writeFileSync(join(store.folder, 'temporary', `${id.sha256}.old`), 'aside');
    rmSync(fileOf(id.sha256));
    await sweepPayloads(store.folder, { retentionMs: 7 * DAY_MS });
    expect(Buffer.from(await store.get(id)).toString()).toBe('aside');
    expect(temporary()).toEqual([]);
  });
});

describe('several processes', () => {
  let compiled: Compiled;
  beforeAll(() => {
    compiled = compileSources();
  }, 120_000);
  afterAll(() => compiled.remove());

  test('have one key, and write the same contents at the same time without harm', async () => {
    const script = `
      const { PayloadStore } = require(${JSON.stringify(compiled.path('src/activities/payloads/payload-store.js'))});
      const store = new PayloadStore({ blobRoot: process.argv[1], canCreate: true });
      (async () => {
        const ids = [];
        for (let n = 0; n < 20; n++) ids.push(await store.put(Buffer.alloc(300_000, 'content ' + n)));
        for (const id of ids) await store.get(id);
        process.stdout.write(JSON.stringify({ store: (await store.key()).storeId, ids }));
      })();`;
    const outputs = await Promise.all(Array.from({ length: 4 }, () => runScript(script, blobRoot)));
    expect(new Set(outputs).size).toBe(1);
    const { ids } = JSON.parse(outputs[0] ?? '') as { ids: { sha256: string }[] };
    const stored = readdirSync(join(store.folder, 'objects'), { recursive: true, encoding: 'utf8' });
    expect(stored.filter((name) => name.length > 3)).toHaveLength(ids.length);
    expect(temporary()).toEqual([]);
    expect(readFileSync(join(store.folder, 'key'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
  });
});

async function runScript(script: string, argument: string): Promise<string> {
  const child = spawn(process.execPath, ['-e', script, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  return output;
}
