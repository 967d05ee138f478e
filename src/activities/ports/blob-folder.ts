import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { retryable } from '../block-failure';
import { damaged, hasCode, isFolder } from './blob-io';
import { wasMade } from './folder-sync';
import { canHold, isInPlace, type OpenFolder, openFolders, pathOfOpen, whereIs } from './open-folders';

/**
 * A folder of the store that is in use. On Linux it is held open, and what is done at {@link at} is done in this very folder,
 * whatever is put in the place of it or of a folder above meanwhile: Node has no openat, but the paths below `/proc/self/fd`
 * do the same. Elsewhere the paths are plain ones, checked once.
 */
export interface HeldFolder {
  /** The folder itself, for listing. Only until it is released, like all paths in it. */
  readonly path: string;
  /** Path of what has this name in the folder. */
  at(name: string): string;
  /** True where it is known to lie still where it was held; never where the system does not tell. */
  isInPlace(): boolean;
  release(): void;
}

/**
 * Holds a folder; undefined where there is none. `folder` is free of links where nobody has planted one. `isNeededAgain`: it is kept open for a
 * moment, for whoever holds it next.
 *
 * @throws BLW_FS_IO, not retryable, where a symbolic link is in the way
 */
export async function holdFolder(
  subject: string,
  folder: string,
  { isNeededAgain = false } = {},
): Promise<HeldFolder | undefined> {
  if (!canHold) return (await isFolder(subject, folder)) ? plainFolder(folder) : undefined;
  const kept = openFolders.find(folder);
  if (kept !== undefined) return heldOpen(kept, folder);
  const handle = await openFolder(subject, folder);
  if (handle === undefined) return undefined;
  const opened = openFolders.add(folder, handle, { isKept: isNeededAgain });
  try {
    if (isAt(subject, handle, folder)) return heldOpen(opened, folder);
  } catch (error) {
    opened.release();
    throw error;
  }
  opened.release();
  return undefined;
}

function heldOpen({ handle, release }: OpenFolder, folder: string): HeldFolder {
  const path = pathOfOpen(handle);
  return { path, at: (name) => join(path, name), isInPlace: () => isInPlace(handle, folder), release };
}

function plainFolder(path: string): HeldFolder {
  return { path, at: (name) => join(path, name), isInPlace: () => false, release: () => undefined };
}

async function openFolder(subject: string, folder: string): Promise<FileHandle | undefined> {
  try {
    return await open(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    // What Linux says of a link as well as of a file; the check tells which it is.
    if (hasCode(error, 'ENOTDIR', 'ELOOP') && !(await isFolder(subject, folder))) return undefined;
    throw error;
  }
}

/**
 * True where an open file lies at the path that it was opened by, with no link on the way; false where it has been removed.
 * Always true where the system does not tell.
 *
 * @throws BLW_FS_IO, not retryable, where it lies elsewhere
 */
export function isAt(subject: string, handle: FileHandle, path: string): boolean {
  if (!canHold) return true;
  const actual = whereIs(handle);
  if (actual === path) return true;
  if (actual === `${path} (deleted)`) return false;
  throw damaged(subject, 'a folder of the blob store is a symbolic link');
}

/** Does something in a folder; undefined where there is none. */
export async function inFolder<T>(
  subject: string,
  folder: string,
  work: (held: HeldFolder) => Promise<T>,
): Promise<T | undefined> {
  const held = await holdFolder(subject, folder);
  return held === undefined ? undefined : await releaseAfter(held, work);
}

/** Does something with what is held, and releases it. */
export async function releaseAfter<H extends Pick<HeldFolder, 'release'>, T>(
  held: H,
  work: (held: H) => Promise<T>,
): Promise<T> {
  try {
    return await work(held);
  } finally {
    held.release();
  }
}

/** Holds a folder that is made where it is missing, and those above it up to the root: one at a time, each in a held one. */
export async function makeFolder(subject: string, folder: string, root: string): Promise<HeldFolder> {
  const there = await holdFolder(subject, folder, { isNeededAgain: true });
  if (there !== undefined) return there;
  if (folder === root) {
    throw retryable(
      'BLW_FS_IO',
      `${subject}: the root folder of the blob store is gone. Mount or restore it; the step is retried.`,
    );
  }
  await releaseAfter(await makeFolder(subject, dirname(folder), root), (above) => makeIn(above, basename(folder)));
  wasMade(folder);
  const made = await holdFolder(subject, folder, { isNeededAgain: true });
  if (made === undefined) throw damaged(subject, 'a folder of the blob store is a dangling link');
  return made;
}

async function makeIn(above: HeldFolder, name: string): Promise<void> {
  try {
    await mkdir(above.at(name), { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
}

/** Makes a folder where it is missing, see {@link makeFolder}. */
export async function ensureFolder(subject: string, folder: string, root: string): Promise<void> {
  (await makeFolder(subject, folder, root)).release();
}
