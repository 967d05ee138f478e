import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { foldersOf, syncFolders, wasMade } from '../../src/activities/ports/folder-sync';

describe('folders that are made durable', () => {
  let root: string;
  const at = (...names: string[]) => join(root, ...names);
  const lasts = (folder: string) => !folder.startsWith(at('t', 'blobs') + sep);
  const touched = () => [at('t', 'blobs', 'a', 'b'), at('t', 'objects', 'ab')];
  const list = () => [...foldersOf(touched(), root, lasts).list].sort();
  const all = () => [
    root,
    at('t'),
    at('t', 'blobs'),
    at('t', 'blobs', 'a'),
    at('t', 'blobs', 'a', 'b'),
    at('t', 'objects'),
    at('t', 'objects', 'ab'),
  ];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    for (const folder of touched()) mkdirSync(folder, { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('are those that were touched and all above them, each once', () => {
    expect(list()).toEqual(all());
    expect([...foldersOf([root], root, lasts).list]).toEqual([root]);
  });

  it('are only the touched ones, and those that may have been made anew, once the lasting ones are on the disk', async () => {
    await syncFolders(touched(), root, lasts);
    expect(list()).toEqual([
      at('t', 'blobs'),
      at('t', 'blobs', 'a'),
      at('t', 'blobs', 'a', 'b'),
      at('t', 'objects', 'ab'),
    ]);
    // Another one of the tenant's.
    expect([...foldersOf([at('t', 'objects', 'cd')], root, lasts).list]).toEqual([
      at('t', 'objects', 'cd'),
      at('t', 'objects'),
    ]);
  });

  it('are all of them again where one of the lasting ones was made again', async () => {
    await syncFolders(touched(), root, lasts);
    for (const folder of [at('t'), at('t', 'blobs'), at('t', 'objects'), at('t', 'objects', 'ab')]) wasMade(folder);
    expect(list()).toEqual(all());
  });

  it('are remembered only where it was done', async () => {
    rmSync(root, { recursive: true });
    // Gone with all that was in it: there is nothing to be kept.
    await syncFolders([at('t', 'objects', 'ab')], root, () => false);
    expect(list()).toEqual(all());
  });
});
