import { createHash } from 'node:crypto';
import { type FileHandle, link, lstat, lutimes } from 'node:fs/promises';
import { damaged, ensureFolder, hasCode, isFolder, openToRead, removeFile, syncFolders } from './blob-io';
import { objectPlace, type TenantPlaces } from './blob-layout';
import { blobSubject } from './blob-pointer';
import type { BlobInfo } from './blob-store';

/** Rounds after which placing an object gives up; each takes somebody who removes it at that very moment. */
const MAX_ROUNDS = 5;

/** Content that is complete and durable in a temporary file. */
export interface WrittenContent {
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
}

/**
 * Makes content the object of its hash, durably; returns at once where the object exists. The temporary file stays, as a
 * second name of the object, until the put has ended: see {@link refreshObject}.
 */
export async function placeObject(subject: string, places: TenantPlaces, content: WrittenContent): Promise<void> {
  const { folder, file } = objectPlace(places, content.sha256);
  if (!(await isFolder(subject, folder))) await ensureFolder(subject, folder, places.root);
  for (let round = 1; ; round++) {
    try {
      await link(content.file, file);
      break;
    } catch (error) {
      if (!hasCode(error, 'EEXIST') || round === MAX_ROUNDS) throw error;
    }
    if (await isIntact(subject, file, content)) break;
    await removeFile(file);
  }
  await syncFolders(folder, places.root);
}

/** True where the object is a plain file with the content of its name; else a put replaces it, and so mends it. */
async function isIntact(subject: string, file: string, content: WrittenContent): Promise<boolean> {
  try {
    const found = await lstat(file);
    if (!found.isFile() || found.size !== content.size) return false;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  const handle = await openToRead(subject, file);
  if (handle === undefined) return false;
  try {
    const hash = createHash('sha256');
    for await (const chunk of handle.createReadStream({ autoClose: false })) hash.update(chunk);
    return hash.digest('hex') === content.sha256;
  } finally {
    await handle.close();
  }
}

/**
 * Tells sweep that an object is in use, by its time; places it anew where sweep was faster. Under the store's lock, in
 * one turn with the move of the pointer that refers to it.
 */
export async function refreshObject(subject: string, places: TenantPlaces, content: WrittenContent): Promise<void> {
  const { file } = objectPlace(places, content.sha256);
  try {
    await touch(file);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    await placeObject(subject, places, content);
    await touch(file);
  }
}

/** Sets a file's time to now, by this process's clock as sweep reads it: the file system's own may lag some milliseconds. */
export async function touch(file: string): Promise<void> {
  const now = new Date();
  await lutimes(file, now, now);
}

/** Reads the content that a pointer refers to; undefined where it is gone. @throws BLW_FS_IO where it is damaged */
export async function readObject(places: TenantPlaces, info: BlobInfo): Promise<Buffer | undefined> {
  const subject = blobSubject(info.path);
  const handle = await openToRead(subject, objectPlace(places, info.sha256).file);
  if (handle === undefined) return undefined;
  try {
    return await readIntact(subject, handle, info);
  } finally {
    await handle.close();
  }
}

async function readIntact(subject: string, handle: FileHandle, info: BlobInfo): Promise<Buffer> {
  const { size } = await handle.stat();
  if (size !== info.size) throw damaged(subject, `its content has ${size} bytes instead of ${info.size}`);
  const content = await handle.readFile();
  if (createHash('sha256').update(content).digest('hex') !== info.sha256) {
    throw damaged(subject, 'its content does not have its SHA-256');
  }
  return content;
}
