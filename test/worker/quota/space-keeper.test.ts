import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { accountBlobs } from '../../../src/activities/ports/accounted-blob-store';
import type { BlobStore } from '../../../src/activities/ports/blob-store';
import { createFileBlobStore, type FileBlobStore } from '../../../src/activities/ports/file-blob-store';
import type { Quotas } from '../../../src/worker/policy/policy';
import type { Offer } from '../../../src/worker/quota/lines';
import { SpaceKeeper } from '../../../src/worker/quota/space-keeper';
import { CHANGE_MS, reviewSpace, waitForSpace } from '../../../src/worker/quota/space-rules';
import { query } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { failureOf } from '../../helpers/block-context';
import { storeKinds } from '../../helpers/state-stores';

describe.each(storeKinds())('the account of blobs in $name', (kind) => {
  let folder: string;
  let state: StateStore;
  let files: FileBlobStore;
  let now: number;
  let quotas: Quotas;
  let offers: Offer[];

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    files = await createFileBlobStore({ root: folder });
    now = Date.UTC(2026, 10, 28);
    quotas = { blobBytes: 100 };
    offers = [];
    state = kind.open(() => now);
  });
  afterEach(async () => {
    files.close();
    await state.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A worker's blobs; each call is another worker. */
  const open = (store: BlobStore = files): BlobStore => accountBlobs(store, keeper());
  const keeper = () =>
    new SpaceKeeper({
      quotasOf: () => quotas,
      run: (rule) => state.run(rule),
      report: async (_, rule) => void offers.push(...(await state.run(rule))),
    });
  const put = (path: string, bytes: number, blobs = open()) => blobs.put('acme', path, Buffer.alloc(bytes, path));
  const stream = (bytes: number, chunk = 10) =>
    Readable.from(
      Array.from({ length: bytes / chunk }, () => Buffer.alloc(chunk, 'x')),
      { objectMode: false },
    );
  const used = async () =>
    (
      await state.run(() =>
        query<{ blob_bytes: number }>("SELECT blob_bytes FROM beamline_tenants WHERE tenant = 'acme'"),
      )
    )[0]?.blob_bytes;
  const underWay = () => state.run(() => query('SELECT id FROM beamline_blob_changes'));
  const real = async () =>
    (await files.list('acme', { prefix: '', limit: 1_000 })).entries.reduce((sum, { size }) => sum + size, 0);

  test('follows puts, replacements and deletions exactly, and the day has the most of it', async () => {
    await put('a', 40);
    await put('b', 30);
    await put('a', 10);
    expect(await used()).toBe(40);
    expect(await open().delete('acme', 'b')).toBe(true);
    expect(await open().delete('acme', 'b')).toBe(false);
    expect(await used()).toBe(10);
    expect(await real()).toBe(10);
    expect(await state.run(() => query('SELECT day, blob_bytes FROM beamline_usage'))).toEqual([
      { day: '2026-11-28', blob_bytes: 70 },
    ]);
    expect(await underWay()).toEqual([]);
  });

  test('counts at first what is there already', async () => {
    await files.put('acme', 'old', Buffer.alloc(60));
    await put('new', 20);
    expect(await used()).toBe(80);
  });

  test('has no room for more than the quota, and leaves nothing behind', async () => {
    await put('a', 80);
    const failure = await failureOf(put('b', 30));
    expect(failure.data).toMatchObject({ code: 'BLW_QUOTA_WAIT', data: { reason: 'blobBytes', bytes: 30 } });
    expect(failure.options.retryable).toBe(true);
    expect(await files.stat('acme', 'b')).toBeUndefined();
    expect(await used()).toBe(80);
    await put('c', 20);
    // What it takes the place of makes room.
    await put('a', 75);
    await files.stat('acme', 'a');
    expect(await used()).toBe(95);
  });

  test('says at once where waiting is in vain', async () => {
    const failure = await failureOf(put('a', 101));
    expect(failure.data).toMatchObject({ code: 'BLW_QUOTA_NEVER', status: 413 });
    expect(failure.options.retryable).toBe(false);
    const endless = await failureOf(open().put('acme', 'a', stream(200)));
    expect(endless.data.code).toBe('BLW_QUOTA_NEVER');
    expect([await real(), await used()]).toEqual([0, 0]);
  });

  test('stops a stream of unknown length at the limit', async () => {
    await put('a', 50);
    const source = stream(80);
    const failure = await failureOf(open().put('acme', 'b', source));
    expect(failure.data).toMatchObject({ code: 'BLW_QUOTA_WAIT', data: { reason: 'blobBytes' } });
    expect(source.destroyed).toBe(true);
    expect([await real(), await used(), await underWay()]).toEqual([50, 50, []]);
    await open().put('acme', 'b', stream(50));
    expect(await used()).toBe(100);
  });

  test('a put that fails takes nothing', async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error('the source broke'));
      },
    });
    await expect(open().put('acme', 'a', broken)).rejects.toThrow('the source broke');
    await expect(open().put('acme', 'a', Buffer.alloc(10), { ifMatch: '0'.repeat(64) })).rejects.toThrow(
      'expected SHA-256',
    );
    expect([await used(), await underWay()]).toEqual([0, []]);
  });

  test('several at once never pass the limit', async () => {
    const puts = Array.from({ length: 12 }, (_, index) =>
      put(`p${index}`, 15).then(
        () => 'put',
        () => 'refused',
      ),
    );
    const outcomes = await Promise.all(puts);
    expect(outcomes.filter((outcome) => outcome === 'put')).toHaveLength(6);
    expect([await used(), await real(), await underWay()]).toEqual([90, 90, []]);
  });

  test('a put that mends a damaged blob makes all be counted anew', async () => {
    await put('a', 20);
    await put('b', 20);
    const pointers = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('=b'));
    writeFileSync(join(folder, pointers.find((name) => name.includes('a=b')) ?? ''), '');
    await put('a', 30);
    expect(await used()).toBeNull();
    await put('c', 1);
    expect(await used()).toBe(51);
  });

  test('a worker that dies in between makes all be counted anew', async () => {
    await put('a', 20);
    // It has put the blob, and was never heard of again.
    await keeper().begin({ tenant: 'acme', bytes: 30 });
    await files.put('acme', 'b', Buffer.alloc(30));
    await put('c', 10);
    expect(await used()).toBe(30);
    expect((await failureOf(put('d', 45))).data.code).toBe('BLW_QUOTA_WAIT');
    now += CHANGE_MS;
    await put('d', 40);
    expect([await used(), await real()]).toEqual([100, 100]);
  });

  test('those who wait for room are told when there is some: whoever it is enough for', async () => {
    await put('a', 60);
    await put('b', 40);
    const asker = (name: string) =>
      ({
        tenant: 'acme',
        kind: 'step',
        ticket: name,
        lease: name,
        worker: 'w',
        namespace: 'n',
        flowId: name,
        priority: 3,
      }) as const;
    for (const [name, needs] of [
      ['large', 70],
      ['small', 30],
    ] as const) {
      const { wait } = await state.run(() => waitForSpace(asker(name), needs, quotas));
      expect(wait).toMatchObject({ ticket: name, reason: 'blobBytes' });
    }
    await open().delete('acme', 'b');
    expect(offers.splice(0).map(({ ticket }) => ticket)).toEqual(['small']);
    quotas = { blobBytes: 200 };
    expect((await state.run(() => reviewSpace('acme', quotas))).map(({ ticket }) => ticket)).toEqual(['large']);
  });

  test('without a quota nobody is held up, not even by a count', async () => {
    quotas = {};
    const counting = keeper();
    const begun = await counting.begin({ tenant: 'acme', bytes: 5 });
    expect(begun.kind).toBe('count');
    await put('a', 1_000);
    if (begun.kind === 'count') await counting.counted({ tenant: 'acme', id: begun.id, bytes: 0 });
    // That count was spoilt; the next change makes another.
    expect(await used()).toBeNull();
    await put('b', 10);
    expect(await used()).toBe(1_010);
  });
});
