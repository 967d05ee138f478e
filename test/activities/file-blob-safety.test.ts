import { lstat, mkdir, readdir, readFile, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { BlockFailure } from '../../src/activities/block-failure';
import { guardIo } from '../../src/activities/ports/blob-io';
import { createFileBlobStore } from '../../src/activities/ports/file-blob-store';
import { bytes, filesUnder, sha256, summary, TENANT, useBlobStore } from '../helpers/blob-store-fixture';

const blobs = useBlobStore();
const HOUR_MS = 3_600_000;

describe('readers', () => {
  test('always see one whole version while writers, deletes and sweeps are at work', async () => {
    const versions = Array.from({ length: 6 }, (_, index) => String(index).repeat(1000 * (index + 1)));
    const whole = new Set(versions);
    const writer = await blobs.open();
    await blobs.store.put(TENANT, 'a', bytes(versions[0] ?? ''));
    let isDone = false;
    const write = async () => {
      for (let round = 0; round < 60; round++) await writer.put(TENANT, 'a', bytes(versions[round % 6] ?? ''));
      isDone = true;
    };
    const sweep = async () => {
      while (!isDone) await writer.sweep({ graceMs: 0 });
    };
    let reads = 0;
    const read = async () => {
      while (!isDone) {
        const blob = await blobs.store.read(TENANT, 'a', 10_000);
        const text = blob?.content.toString() ?? '';
        expect(whole.has(text)).toBe(true);
        expect(blob?.info).toMatchObject({ size: text.length, sha256: sha256(text) });
        expect((await blobs.store.list(TENANT, { prefix: '', limit: 10 })).entries).toHaveLength(1);
        reads += 1;
      }
    };
    await Promise.all([write(), sweep(), read(), read()]);
    expect(reads).toBeGreaterThan(10);
  });

  test.each([
    [
      'content that is too short',
      () => truncate(blobs.objectFile('content'), 3),
      'its content has 3 bytes instead of 7',
    ],
    ['content that changed', () => writeFile(blobs.objectFile('content'), 'CONTENT'), 'does not have its SHA-256'],
    ['content that is missing', () => rm(blobs.objectFile('content')), 'is missing'],
    ['a pointer that is no JSON', () => writeFile(blobs.pointerFile('a'), '{'), 'its pointer file is damaged'],
    [
      'a pointer without a hash',
      () => writeFile(blobs.pointerFile('a'), '{"path":"a","size":1}'),
      'its pointer file is damaged',
    ],
    ['an empty pointer', () => truncate(blobs.pointerFile('a')), 'its pointer file is damaged'],
  ])('refuse %s, until the blob is written again', async (_, spoil, reason) => {
    await blobs.store.put(TENANT, 'a', bytes('content'));
    await spoil();
    const failure = await blobs.failureOf(blobs.store.read(TENANT, 'a', 100));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toContain(reason);
    await blobs.store.put(TENANT, 'a', bytes('content'));
    expect(await blobs.contentOf('a')).toBe('content');
  });

  test('are not given a pointer that was copied from another path', async () => {
    await blobs.store.put(TENANT, 'a', bytes('1'));
    await blobs.store.put(TENANT, 'b', bytes('2'));
    await writeFile(blobs.pointerFile('b'), await readFile(blobs.pointerFile('a')));
    expect((await blobs.failureOf(blobs.store.read(TENANT, 'b', 100))).message).toContain(
      'its pointer file is damaged',
    );
  });

  test('get content that a put mended where the object was cut short', async () => {
    await blobs.store.put(TENANT, 'a', bytes('content'));
    await truncate(blobs.objectFile('content'), 3);
    await blobs.store.put(TENANT, 'b', bytes('content'));
    expect([await blobs.contentOf('a'), await blobs.contentOf('b')]).toEqual(['content', 'content']);
  });
});

describe('symbolic links', () => {
  let outside: string;

  beforeEach(async () => {
    outside = join(blobs.base, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'secret'), 'secret');
  });

  test('may be the root itself', async () => {
    await symlink(blobs.root, join(blobs.base, 'link'));
    const linked = await blobs.open(join(blobs.base, 'link'));
    await linked.put(TENANT, 'a', bytes('x'));
    expect(await blobs.contentOf('a')).toBe('x');
  });

  test.each([
    ['a folder of the tree', 'acme=t/blobs/evil=d'],
    ['the tree', 'acme=t/blobs'],
    ['the folder of objects', 'acme=t/objects'],
    ['a folder of objects', `acme=t/objects/${sha256('x').slice(0, 2)}`],
    ['the folder of temporary files', 'acme=t/temporary'],
    ['the folder of a tenant', 'acme=t'],
  ])('are not followed as %s', async (_, planted) => {
    await mkdir(dirname(join(blobs.root, planted)), { recursive: true });
    await symlink(outside, join(blobs.root, planted));
    const failure = await blobs.failureOf(blobs.store.put(TENANT, 'evil/a', bytes('x')));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toContain('is a symbolic link');
    await blobs.store.list(TENANT, { prefix: '', limit: 10 }).catch(failureOfError);
    await blobs.store.sweep({ graceMs: 0 }).catch(failureOfError);
    expect(await readdir(outside)).toEqual(['secret']);
  });

  function failureOfError(error: unknown): void {
    if (!(error instanceof BlockFailure)) throw error;
  }

  test('are not followed where they dangle', async () => {
    await mkdir(join(blobs.root, 'acme=t', 'blobs'), { recursive: true });
    await symlink(join(outside, 'new'), join(blobs.root, 'acme=t', 'blobs', 'evil=d'));
    expect((await blobs.failureOf(blobs.store.put(TENANT, 'evil/a', bytes('x')))).message).toContain(
      'is a dangling link',
    );
    expect(await readdir(outside)).toEqual(['secret']);
  });

  test('are refused as pointer and as object, and replaced by the next put', async () => {
    await blobs.store.put(TENANT, 'a', bytes('secret'));
    const pointer = await readFile(blobs.pointerFile('a'));
    await writeFile(join(outside, 'pointer'), pointer);
    await rm(blobs.pointerFile('a'));
    await symlink(join(outside, 'pointer'), blobs.pointerFile('a'));
    expect((await blobs.failureOf(blobs.store.read(TENANT, 'a', 100))).message).toContain('is a symbolic link');
    expect((await blobs.store.list(TENANT, { prefix: '', limit: 10 })).entries).toEqual([]);
    await blobs.store.put(TENANT, 'a', bytes('secret'));
    await rm(blobs.objectFile('secret'));
    await symlink(join(outside, 'secret'), blobs.objectFile('secret'));
    expect((await blobs.failureOf(blobs.store.read(TENANT, 'a', 100))).message).toContain('is a symbolic link');
    await blobs.store.put(TENANT, 'a', bytes('secret'));
    expect(await blobs.contentOf('a')).toBe('secret');
    expect((await lstat(blobs.objectFile('secret'))).isFile()).toBe(true);
    expect((await readFile(join(outside, 'pointer'))).equals(pointer)).toBe(true);
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
});

describe('sweep', () => {
  const age = async (file: string) => {
    const then = new Date(Date.now() - HOUR_MS);
    await utimes(file, then, then);
  };

  test('removes old content that nothing refers to, and keeps the rest', async () => {
    await blobs.store.put(TENANT, 'a', bytes('replaced'));
    await blobs.store.put(TENANT, 'a', bytes('current'));
    await blobs.store.put(TENANT, 'b', bytes('deleted'));
    await blobs.store.put('other', 'a', bytes('replaced'));
    await blobs.store.delete(TENANT, 'b');
    await blobs.store.put(TENANT, 'c', bytes('young'));
    await blobs.store.delete(TENANT, 'c');
    for (const content of ['replaced', 'current', 'deleted']) await age(blobs.objectFile(content));
    const freedBytes = 'replaced'.length + 'deleted'.length;
    expect(await blobs.store.sweep({ graceMs: HOUR_MS / 2 })).toEqual({ removed: 2, freedBytes });
    expect((await blobs.objectFiles()).sort()).toEqual([blobs.objectFile('current'), blobs.objectFile('young')].sort());
    expect(await blobs.contentOf('a')).toBe('current');
    expect((await blobs.store.read('other', 'a', 100))?.content.toString()).toBe('replaced');
    expect(await blobs.store.sweep({ graceMs: 0 })).toEqual({ removed: 1, freedBytes: 'young'.length });
  });

  test('removes what a crash left half written', async () => {
    await blobs.store.put(TENANT, 'a', bytes('x'));
    const leftovers = ['old', 'young'].map((name) => join(blobs.root, 'acme=t', 'temporary', name));
    for (const file of leftovers) await writeFile(file, 'half');
    await age(leftovers[0] ?? '');
    expect(await blobs.store.sweep({ graceMs: HOUR_MS / 2 })).toEqual({ removed: 1, freedBytes: 4 });
    expect(await blobs.temporaryFiles()).toEqual([leftovers[1]]);
  });

  test('leaves a put alone that is under way, and its content', async () => {
    const source = new PassThrough();
    const written = new Promise<void>((resolve) => {
      source.once('drained', resolve);
    });
    const put = blobs.store.put(TENANT, 'a', source, { onProgress: () => source.emit('drained') });
    source.write('half, ');
    await written;
    const [file = ''] = await blobs.temporaryFiles();
    await age(file);
    expect(await blobs.store.sweep({ graceMs: 0 })).toEqual({ removed: 0, freedBytes: 0 });
    source.end('whole');
    await put;
    expect(await blobs.contentOf('a')).toBe('half, whole');
  });

  test('forgets deletions after the grace', async () => {
    const key = { idempotencyKey: 'key', isRetry: true };
    await blobs.store.put(TENANT, 'a', bytes('x'));
    await blobs.store.delete(TENANT, 'a', key);
    await blobs.store.sweep({ graceMs: HOUR_MS });
    expect(await blobs.store.delete(TENANT, 'a', key)).toBe(true);
    for (const file of await filesUnder(join(blobs.root, 'acme=t', 'deleted'))) await age(file);
    await blobs.store.sweep({ graceMs: HOUR_MS / 2 });
    expect(await blobs.store.delete(TENANT, 'a', key)).toBe(false);
  });

  test('loses nothing of what is put, dropped and put again while it runs without grace', async () => {
    const contents = ['one', 'two', 'three'];
    let isDone = false;
    const write = async (path: string) => {
      for (let round = 0; round < 40; round++) {
        const content = contents[round % 3] ?? '';
        await blobs.store.put(TENANT, path, bytes(content));
        expect(await blobs.contentOf(path)).toBe(content);
        if (round % 4 === 0) await blobs.store.delete(TENANT, path);
      }
    };
    const sweep = async () => {
      while (!isDone) await blobs.store.sweep({ graceMs: 0 });
    };
    const writing = Promise.all(['a', 'b/c', 'b/d'].map(write)).finally(() => {
      isDone = true;
    });
    await Promise.all([writing, sweep()]);
    for (const path of ['a', 'b/c', 'b/d']) expect(await blobs.contentOf(path)).toBe('one');
  });

  test('does nothing in an empty store and ignores what is not its own', async () => {
    await mkdir(join(blobs.root, 'lost+found'));
    await writeFile(join(blobs.root, 'notes.txt'), 'mine');
    expect(await blobs.store.sweep({ graceMs: 0 })).toEqual({ removed: 0, freedBytes: 0 });
    expect((await readdir(blobs.root)).sort()).toEqual(['lock.sqlite', 'lost+found', 'notes.txt']);
  });
});

describe('errors of the file system', () => {
  test.each([
    ['ENOSPC', true, 'Free space'],
    ['EDQUOT', true, 'quota'],
    ['EIO', true, 'Look at the disk'],
    ['EMFILE', true, 'ulimit -n'],
    ['ESTALE', true, 'Look at the disk'],
    ['EACCES', false, 'the right to read and write'],
    ['EPERM', false, 'the right to read and write'],
    ['EROFS', true, 'writable'],
    ['EXDEV', true, 'Look at the disk'],
    ['ENOTDIR', false, 'Look at the disk'],
  ])('become BLW_FS_IO: %s, retryable %s', async (code, isRetryable, advice) => {
    const error = Object.assign(new Error(`${code}: oh, open '${blobs.root}/x'`), {
      code,
      syscall: 'open',
      path: `${blobs.root}/x`,
    });
    const failure = await blobs.failureOf(guardIo('Blob "a"', () => Promise.reject(error)));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: isRetryable });
    expect(failure.message).toMatch(new RegExp(`^Blob "a": open failed with ${code}. .*${advice}`));
    expect(String(failure.cause)).not.toContain(blobs.root);
  });

  test('become BLW_FS_PATH where the path is too long for the file system', async () => {
    const error = Object.assign(new Error('ENAMETOOLONG'), { code: 'ENAMETOOLONG', syscall: 'open' });
    const failure = await blobs.failureOf(guardIo('Blob "a"', () => Promise.reject(error)));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_PATH', retryable: false });
    expect(failure.message).toContain('Shorten the path');
  });

  test('name the blob and not the folder', async () => {
    await mkdir(join(blobs.root, 'acme=t'));
    await writeFile(join(blobs.root, 'acme=t', 'temporary'), 'a file in the way');
    const failure = await blobs.failureOf(blobs.store.put(TENANT, 'a', bytes('x')));
    expect(summary(failure)).toEqual({ code: 'BLW_FS_IO', retryable: false });
    expect(failure.message).toMatch(/^Blob "a": open failed with ENOTDIR/);
  });

  test('are retryable where the root is gone', async () => {
    await rm(blobs.root, { recursive: true });
    expect(summary(await blobs.failureOf(blobs.store.put(TENANT, 'a', bytes('x'))))).toEqual({
      code: 'BLW_FS_IO',
      retryable: true,
    });
  });

  test('refuse a root that is a file', async () => {
    await writeFile(join(blobs.base, 'file'), '');
    await expect(createFileBlobStore({ root: join(blobs.base, 'file') })).rejects.toMatchObject({
      data: { code: 'BLW_CONFIG' },
      message: expect.stringContaining('EEXIST') as string,
    });
  });
});
