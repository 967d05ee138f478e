import { createHash } from 'node:crypto';
import { link, lutimes } from 'node:fs/promises';
import { BlockFailure } from '../block-failure';
import { fulfilled } from '../fulfilled';
import { type HeldFolder, makeFolder } from './blob-folder';
import { damaged, hasCode, letGo, removeFile } from './blob-io';
import { objectPlace, type TenantPlaces } from './blob-layout';
import { blobSubject } from './blob-pointer';
import { type OpenedFile, openToRead, readWhole } from './blob-read';
import type { BlobInfo } from './blob-store';
import { syncPlaces } from './folder-sync';

/** Rounds after which placing an object gives up; each takes somebody who removes it at that very moment. */
const MAX_ROUNDS = 5;

/** Bytes up to which a content is read in one go, without a stream. */
const READ_AT_ONCE = 65_536;

/** Content that is complete in a temporary file. */
export interface WrittenContent {
  readonly file: string;
  readonly size: number;
  readonly sha256: string;
}

/** An object that a put has placed, in its folder, which is held until the put has ended. */
export interface PlacedObject {
  /**
   * Tells sweep that the object is in use, by its time; places it anew where sweep was faster. Under the store's lock, in one
   * turn with the move of the pointer that refers to it.
   */
  refresh(): Promise<void>;
  release(): void;
}

/**
 * Makes content the object of its hash, durably, once it is `flushed` to the disk; returns at once where the object exists. The temporary
 * file stays, as a second name of the object, until the put has ended: see {@link PlacedObject.refresh}.
 */
export async function placeObject(
  subject: string,
  places: TenantPlaces,
  content: WrittenContent,
  flushed: Promise<void>,
): Promise<PlacedObject> {
  const { folder } = objectPlace(places, content.sha256);
  const [holding, flush] = await Promise.allSettled([makeFolder(subject, folder, places.root), flushed]);
  const held = fulfilled(holding);
  const place = async () => {
    await linkObject(subject, places, content, held);
    await syncPlaces(places, [folder]);
  };
  try {
    fulfilled(flush);
    await place();
  } catch (error) {
    held.release();
    throw error;
  }
  return {
    release: () => held.release(),
    async refresh() {
      const file = held.at(content.sha256);
      try {
        await touch(file);
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error;
        await place();
        await touch(file);
      }
    },
  };
}

async function linkObject(
  subject: string,
  places: TenantPlaces,
  content: WrittenContent,
  folder: HeldFolder,
): Promise<void> {
  const file = folder.at(content.sha256);
  for (let round = 1; ; round++) {
    try {
      await link(content.file, file);
      return;
    } catch (error) {
      if (!hasCode(error, 'EEXIST') || round === MAX_ROUNDS) throw error;
    }
    if (await isIntact(subject, objectPlace(places, content.sha256).file, content)) return;
    await removeFile(file);
  }
}

/** True where the object is a plain file with the content of its name; else a put replaces it, and so mends it. */
async function isIntact(subject: string, file: string, content: WrittenContent): Promise<boolean> {
  const opened = await openObject(subject, file);
  if (opened === undefined) return false;
  try {
    if (opened.size !== content.size) return false;
    return (await hashOf(opened)) === content.sha256;
  } finally {
    letGo(opened.handle);
  }
}

/** SHA-256 in hex; a large content is never in memory as a whole. */
async function hashOf(opened: OpenedFile): Promise<string> {
  const hash = createHash('sha256');
  if (opened.size <= READ_AT_ONCE) return hash.update(await readWhole(opened)).digest('hex');
  const range = { autoClose: false, start: 0, end: opened.size - 1 };
  for await (const chunk of opened.handle.createReadStream(range)) hash.update(chunk);
  return hash.digest('hex');
}

/** Undefined also where the object is a link or a pipe, and so to be replaced. */
async function openObject(subject: string, file: string): Promise<OpenedFile | undefined> {
  try {
    return await openToRead(subject, file);
  } catch (error) {
    if (error instanceof BlockFailure) return undefined;
    throw error;
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
  const opened = await openToRead(subject, objectPlace(places, info.sha256).file);
  if (opened === undefined) return undefined;
  try {
    return await readIntact(subject, opened, info);
  } finally {
    letGo(opened.handle);
  }
}

async function readIntact(subject: string, opened: OpenedFile, info: BlobInfo): Promise<Buffer> {
  const { size } = opened;
  if (size !== info.size) throw damaged(subject, `its content has ${size} bytes instead of ${info.size}`);
  const content = await readWhole(opened);
  if (createHash('sha256').update(content).digest('hex') !== info.sha256) {
    throw damaged(subject, 'its content does not have its SHA-256');
  }
  return content;
}
