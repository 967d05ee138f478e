import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { type HeldFolder, isAt } from './blob-folder';
import { damaged, hasCode, isFolder, letGo } from './blob-io';
import { canHold } from './open-folders';

/** A file that is open for reading. */
export interface OpenedFile {
  readonly handle: FileHandle;
  /** Bytes that it had when it was opened. */
  readonly size: number;
}

/**
 * Opens a file for reading; undefined where it or its folder does not exist. What is no plain file is refused, so that nobody
 * reads from a pipe or a device without an end, and nobody waits for one. `folder`: that of the file, where it is held already.
 *
 * @throws BLW_FS_IO, not retryable, where a link is in the way or the file is no plain one
 */
export async function openToRead(subject: string, file: string, folder?: HeldFolder): Promise<OpenedFile | undefined> {
  const handle = await openUnchecked(subject, file, folder);
  if (handle === undefined) return undefined;
  try {
    // One that has been replaced or removed since it was opened is still one whole version.
    isAt(subject, handle, file);
    const found = await handle.stat();
    if (!found.isFile()) throw damaged(subject, 'a file of the blob store is a pipe, a device or a folder');
    return { handle, size: found.size };
  } catch (error) {
    letGo(handle);
    throw error;
  }
}

async function openUnchecked(subject: string, file: string, folder?: HeldFolder): Promise<FileHandle | undefined> {
  // Where `isAt` cannot tell, this is the check.
  if (!canHold && folder === undefined && !(await isFolder(subject, dirname(file)))) return undefined;
  try {
    // O_NOFOLLOW and O_NONBLOCK are missing on Windows, where undefined counts as 0 in the union of bits.
    return await open(
      folder?.at(basename(file)) ?? file,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch (error) {
    // FreeBSD says EMLINK where POSIX has ELOOP.
    if (hasCode(error, 'ELOOP', 'EMLINK')) throw damaged(subject, 'a file of the blob store is a symbolic link');
    // ENXIO: a socket, which cannot be opened.
    if (hasCode(error, 'ENXIO')) throw damaged(subject, 'a file of the blob store is a socket');
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  // Nothing there; a link above it is reported all the same.
  if (folder === undefined) await isFolder(subject, dirname(file));
  return undefined;
}

/** Reads a file from its beginning, as much as it had when it was opened: one that grows is not read without an end. */
export async function readWhole({ handle, size }: OpenedFile): Promise<Buffer> {
  const content = Buffer.allocUnsafe(size);
  let length = 0;
  while (length < size) {
    const { bytesRead } = await handle.read(content, length, size - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return content.subarray(0, length);
}

/** Closes a file that something may be moved onto at once, which Windows refuses while it is open. */
export async function closeRead({ handle }: OpenedFile): Promise<void> {
  if (canHold) letGo(handle);
  else await handle.close();
}
