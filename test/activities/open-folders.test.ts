import { existsSync, mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { canHold, openFolders } from '../../src/activities/ports/open-folders';
import { eventually } from '../helpers/test-worker';

/** Where something below a folder is open in this process. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(join('/proc/self/fd', fd));
      return path.startsWith(folder) && !path.includes('lock.sqlite') ? [path] : [];
    } catch {
      // The one that lists them.
      return [];
    }
  });
}

const onLinux = canHold ? describe : describe.skip;

onLinux('folders that are kept open for the next write', () => {
  let base: string;
  let root: string;
  let store: FileBlobStore;
  const text = async (path: string) => (await store.read('acme', path, 1_000))?.content.toString();
  const put = (path: string, content = path) => store.put('acme', path, Buffer.from(content), { execution: path });

  beforeEach(async () => {
    base = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    root = join(base, 'blobs');
    store = await createFileBlobStore({ root });
    await put('d/first');
  });
  afterEach(() => {
    store.close();
    rmSync(base, { recursive: true, force: true });
  });

  test('are those that a write needs, and are closed again', async () => {
    const kept = openBelow(root);
    for (const folder of ['temporary', 'blobs', 'blobs/d=d']) expect(kept).toContain(join(root, 'acme=t', folder));
    await eventually(async () => (openBelow(root).length === 0 ? true : undefined));
    await put('d/second');
    expect(await text('d/second')).toBe('d/second');
  });

  test('are not written into once they were removed', async () => {
    rmSync(join(root, 'acme=t'), { recursive: true });
    await put('d/second');
    expect(await text('d/second')).toBe('d/second');
    expect(await text('d/first')).toBeUndefined();
  });

  test('are not written into once they were moved away', async () => {
    const away = join(base, 'away');
    renameSync(join(root, 'acme=t'), away);
    await put('d/second');
    expect(await text('d/second')).toBe('d/second');
    expect(readdirSync(join(away, 'blobs', 'd=d'))).toEqual(['first=b']);
  });

  test.each(['temporary', 'deleted', join('blobs', 'd=d'), 'blobs'])(
    'are refused where a link was put in the place of %s',
    async (name) => {
      // Keeps `deleted` open, too.
      await put('d/first', 'again');
      await store.put('acme', 'd/first', Buffer.from('once more'), { execution: 'other' });
      const folder = join(root, 'acme=t', name);
      const outside = join(base, 'outside');
      renameSync(folder, outside);
      symlinkSync(outside, folder);
      const before = readdirSync(outside, { recursive: true });
      await expect(put('d/second')).rejects.toMatchObject({ data: { code: 'BLW_FS_IO' } });
      expect(readdirSync(outside, { recursive: true })).toEqual(before);
      expect(existsSync(join(outside, 'second=b'))).toBe(false);
    },
  );

  test('are given to all that need them at once, and closed with the last', async () => {
    const handle = await open(base);
    const first = openFolders.add(base, handle, { isKept: true });
    const second = openFolders.find(base);
    expect(second?.handle).toBe(handle);
    await eventually(async () => {
      const found = openFolders.find(base);
      found?.release();
      return found === undefined ? true : undefined;
    });
    first.release();
    expect((await handle.stat()).isDirectory()).toBe(true);
    second?.release();
    await eventually(async () => (openBelow(base).includes(base) ? undefined : true));
  });
});
