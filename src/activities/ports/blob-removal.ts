import { rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { inFolder } from './blob-folder';
import { hasCode, removeFile } from './blob-io';
import { type BlobPlace, markOf } from './blob-layout';
import { keepForDeleter, keepForWriter, readMark } from './blob-marks';
import { blobSubject, readPointer } from './blob-pointer';
import type { BlobStore } from './blob-store';

/** How a blob is to be deleted. */
export type DeleteOptions = NonNullable<Parameters<BlobStore['delete']>[2]>;

/**
 * Takes a pointer out, under the lock. With a key it is moved, in one step, to where a retry of the same key finds it: so
 * the retry knows for certain that its own step did it.
 */
export async function removePointer(place: BlobPlace, options: DeleteOptions): Promise<boolean> {
  const { idempotencyKey, isRetry = false } = options;
  const mark = idempotencyKey === undefined ? undefined : markOf(place, 'delete', idempotencyKey);
  if (isRetry && mark !== undefined && (await readMark(place, mark)) !== undefined) return true;
  const wasThere = await inFolder(blobSubject(place.path), place.folder, async (folder) => {
    const current = await readPointer(place);
    if (current === undefined) return false;
    await options.fence?.confirm();
    const pointer = folder.at(basename(place.pointer));
    await keepForWriter(pointer, current, place);
    if (mark === undefined) await removeFile(pointer);
    else await keepForDeleter(pointer, mark, place);
    options.onDeleted?.(current.size);
    return true;
  });
  if (wasThere !== true) return false;
  await pruneFolders(place);
  return true;
}

/** Removes folders that have become empty, from the pointer's upwards. Under the lock, so no put is about to use one. */
async function pruneFolders(place: BlobPlace): Promise<void> {
  const subject = blobSubject(place.path);
  for (let folder = place.folder; folder !== place.tenant.blobs; folder = dirname(folder)) {
    try {
      await inFolder(subject, dirname(folder), (above) => rmdir(above.at(basename(folder))));
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return;
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}
