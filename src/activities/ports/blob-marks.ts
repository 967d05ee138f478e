import { link, rename } from 'node:fs/promises';
import { basename } from 'node:path';
import { type HeldFolder, holdFolder, makeFolder, releaseAfter } from './blob-folder';
import { hasCode } from './blob-io';
import { type BlobPlace, markPlace } from './blob-layout';
import { touch } from './blob-objects';
import { blobSubject, readPointer, type StoredPointer } from './blob-pointer';

/**
 * What tells the attempts of one step that one of them is through. A put leaves its mark in the pointer; once that is replaced or
 * deleted, the pointer is kept in the folder `deleted` under the mark, as a delete keeps what it takes out. Sweep removes old ones.
 */

/** The pointer that is kept under a mark. */
export async function readMark(place: BlobPlace, mark: string): Promise<StoredPointer | undefined> {
  const { deleted } = place.tenant;
  const folder = await holdFolder(blobSubject(place.path), deleted, { isNeededAgain: true });
  if (folder === undefined) return undefined;
  return await releaseAfter(folder, (held) => readPointer({ path: place.path, pointer: markPlace(place, mark) }, held));
}

/** Keeps a pointer that is about to be replaced or deleted, for the attempts of the step that put it. Under the store's lock. */
export async function keepForWriter(pointer: string, { writer }: StoredPointer, place: BlobPlace): Promise<void> {
  if (writer === undefined) return;
  await inMarks(place, async (folder) => {
    const file = folder.at(basename(markPlace(place, writer)));
    try {
      await link(pointer, file);
    } catch (error) {
      // A put that was interrupted between this and its own pointer.
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    await touch(file);
  });
}

/** Takes a pointer out and keeps it under the mark of who deleted it. Under the store's lock. */
export async function keepForDeleter(pointer: string, mark: string, place: BlobPlace): Promise<void> {
  await inMarks(place, async (folder) => {
    const file = folder.at(basename(markPlace(place, mark)));
    await rename(pointer, file);
    await touch(file);
  });
}

async function inMarks(place: BlobPlace, work: (folder: HeldFolder) => Promise<void>): Promise<void> {
  const { deleted, root } = place.tenant;
  await releaseAfter(await makeFolder(blobSubject(place.path), deleted, root), work);
}
