import { createHash, type Hash, randomUUID } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TemporaryFile, type TemporaryFiles, writeAll } from './blob-content';
import { type HeldFolder, inFolder } from './blob-folder';
import { hasCode, letGo, removeFile } from './blob-io';
import type { BlobPlace, TenantPlaces } from './blob-layout';
import { blobSubject } from './blob-pointer';
import { openToRead } from './blob-read';
import type { BlobPart, PartRules, TakenPart } from './blob-store';

/**
 * Parts of contents whose source broke off, for the next attempt of the step to go on from. They are temporary files whose name says
 * whose they are: the tenant by the folder, the step and the blob by a hash. Nobody writes on in a file that another attempt has
 * begun, which may still be at it: a part is taken up by a copy, which has to be read for its hash anyway. Sweep removes old ones.
 */
const PREFIX = 'part-';

/** Bytes that are copied at once. */
const COPY_BYTES = 1 << 20;

/** A name for a part of what the step with this key puts at the place; another one each time. */
export function newPartName(place: BlobPlace, key: string): string {
  return `${markOfPart(place, key)}${randomUUID()}`;
}

function markOfPart({ path }: BlobPlace, key: string): string {
  const mark = createHash('sha256').update(`part\0${key}\0${path}`).digest('hex');
  return `${PREFIX}${mark}-`;
}

/** A part that goes on in a file of its own. */
export class TakenFile implements TakenPart {
  #isGivenUp = false;

  constructor(
    private readonly places: TenantPlaces,
    /** Of the file that it was copied from. */
    private readonly oldName: string,
    readonly size: number,
    readonly temporary: TemporaryFile,
    readonly hash: Hash,
  ) {}

  /** Whoever has it looks after it from now on. */
  handOver(): TemporaryFile {
    this.#isGivenUp = true;
    return this.temporary;
  }

  async forget(): Promise<void> {
    await this.discard();
    await removePart(this.places, this.oldName);
  }

  async discard(): Promise<void> {
    if (this.#isGivenUp) return;
    this.#isGivenUp = true;
    await this.temporary.discard();
  }
}

/** Copies a part; undefined, and the part is gone, where it is not what it was said to be, or cannot be copied. */
export async function takePart(
  place: BlobPlace,
  { key, part, signal }: { key: string; part: BlobPart; signal: AbortSignal },
  files: TemporaryFiles,
): Promise<TakenFile | undefined> {
  const mark = markOfPart(place, key);
  if (!part.name.startsWith(mark) || !/^[0-9a-f-]{36}$/.test(part.name.slice(mark.length))) return undefined;
  try {
    const taken = await copyPart(place, { part, name: newPartName(place, key), signal }, files);
    if (taken !== undefined) return taken;
  } catch {
    // Whatever it is, a full disk or a bad one: without the part there is more room, and the content comes anew.
    signal.throwIfAborted();
  }
  await removePart(place.tenant, part.name);
  return undefined;
}

async function copyPart(
  place: BlobPlace,
  { part, name, signal }: { part: BlobPart; name: string; signal: AbortSignal },
  files: TemporaryFiles,
): Promise<TakenFile | undefined> {
  const subject = blobSubject(place.path);
  const opened = await openToRead(subject, join(place.tenant.temporary, part.name));
  if (opened === undefined) return undefined;
  let temporary: TemporaryFile | undefined;
  try {
    if (opened.size < part.size) return undefined;
    temporary = await files.create(subject, place.tenant, name);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(COPY_BYTES);
    for (let done = 0; done < part.size; ) {
      signal.throwIfAborted();
      const { bytesRead } = await opened.handle.read(buffer, 0, Math.min(COPY_BYTES, part.size - done), done);
      if (bytesRead === 0) break;
      const bytes = buffer.subarray(0, bytesRead);
      hash.update(bytes);
      await writeAll(temporary.handle, bytes);
      done += bytesRead;
    }
    if (hash.copy().digest('hex') !== part.sha256) return undefined;
    const taken = new TakenFile(place.tenant, part.name, part.size, temporary, hash);
    temporary = undefined;
    return taken;
  } finally {
    letGo(opened.handle);
    await temporary?.discard();
  }
}

/** Removes a part that nobody needs; what cannot be removed is left to sweep. Never throws. */
async function removePart(places: TenantPlaces, name: string): Promise<void> {
  await inFolder('Part of a blob', places.temporary, (folder) => removeFile(folder.at(name))).catch(() => undefined);
}

/** True where one more part may be kept. Never throws: what cannot be counted is not kept. */
export async function partsFit({ tenant }: BlobPlace, { maxKeptBytes }: PartRules): Promise<boolean> {
  if (maxKeptBytes === undefined) return true;
  return await partBytes(tenant).then(
    (bytes) => bytes <= maxKeptBytes,
    () => false,
  );
}

/** Bytes of all parts of the tenant that are kept, those that are being written among them. */
async function partBytes(places: TenantPlaces): Promise<number> {
  const sizes = await inFolder('Parts of blobs', places.temporary, async (folder) => {
    const names = (await readdir(folder.path)).filter((name) => name.startsWith(PREFIX));
    return await Promise.all(names.map((name) => sizeOf(folder, name)));
  });
  return (sizes ?? []).reduce((sum, size) => sum + size, 0);
}

async function sizeOf(folder: HeldFolder, name: string): Promise<number> {
  try {
    return (await lstat(folder.at(name))).size;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
}
