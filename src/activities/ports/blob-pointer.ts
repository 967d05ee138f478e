import { rename } from 'node:fs/promises';
import { basename } from 'node:path';
import { isJsonObject, type Json } from '../../dsl/json';
import { notRetryable } from '../block-failure';
import type { TemporaryFile } from './blob-content';
import { type HeldFolder, makeFolder, releaseAfter } from './blob-folder';
import { damaged, hasCode } from './blob-io';
import type { BlobPlace } from './blob-layout';
import { quote } from './blob-path';
import { closeRead, openToRead, readWhole } from './blob-read';
import type { BlobInfo } from './blob-store';

/** More than any server's header; a list reads the pointers of a whole page at once. */
const MAX_CONTENT_TYPE_LENGTH = 65_536;

/** More than a path and a content type can make of a pointer; a larger file is none of the store's. */
const MAX_POINTER_BYTES = 1_048_576;

/** How messages call a blob. */
export function blobSubject(path: string): string {
  return `Blob ${quote(path)}`;
}

/** Throws BLW_ARG_INVALID, not retryable, for a content type that a pointer should not have to carry. */
export function checkContentType(path: string, contentType: string | undefined): void {
  if (contentType === undefined || contentType.length <= MAX_CONTENT_TYPE_LENGTH) return;
  const got = `a content type of ${contentType.length} characters`;
  throw notRetryable(
    'BLW_ARG_INVALID',
    `${blobSubject(path)}: got ${got}, expected at most ${MAX_CONTENT_TYPE_LENGTH}.`,
  );
}

/** What a pointer file holds. */
export interface StoredPointer extends BlobInfo {
  /** Mark of the step that put it (blob-marks.ts). */
  readonly writer?: string;
}

/** A blob's info as the text of its pointer file. */
function formatPointer(info: StoredPointer): string {
  const { path, size, sha256, contentType, modifiedAt, writer } = info;
  return `${JSON.stringify({ path, size, sha256, contentType, modifiedAt: modifiedAt.toISOString(), writer })}\n`;
}

/** What is told of a blob. */
export function infoOf({ writer: _writer, ...info }: StoredPointer): BlobInfo {
  return info;
}

/**
 * Reads a blob's pointer; undefined where there is none. `folder`: the pointer's, where it is held already.
 *
 * @throws BLW_FS_IO where it is damaged
 */
export async function readPointer(
  place: Pick<BlobPlace, 'path' | 'pointer'>,
  folder?: HeldFolder,
): Promise<StoredPointer | undefined> {
  const subject = blobSubject(place.path);
  const opened = await openToRead(subject, place.pointer, folder);
  if (opened === undefined) return undefined;
  let text: string;
  try {
    if (opened.size > MAX_POINTER_BYTES) throw damaged(subject, 'its pointer file is damaged');
    text = (await readWhole(opened)).toString();
  } finally {
    await closeRead(opened);
  }
  const info = parsePointer(text);
  if (info?.path !== place.path) throw damaged(subject, 'its pointer file is damaged');
  return info;
}

function parsePointer(text: string): StoredPointer | undefined {
  const value = parseJson(text);
  if (!isJsonObject(value)) return undefined;
  const { path, size, sha256, contentType, modifiedAt, writer } = value;
  if (typeof path !== 'string' || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  if (typeof modifiedAt !== 'string' || Number.isNaN(Date.parse(modifiedAt))) return undefined;
  if (contentType !== undefined && typeof contentType !== 'string') return undefined;
  if (writer !== undefined && !(typeof writer === 'string' && /^[0-9a-f]{64}$/.test(writer))) return undefined;
  return {
    path,
    size,
    sha256,
    modifiedAt: new Date(modifiedAt),
    ...(contentType === undefined ? {} : { contentType }),
    ...(writer === undefined ? {} : { writer }),
  };
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** A pointer that is written and durable, and not in its place yet. */
export class PointerDraft {
  #isMoved = false;

  private constructor(
    private readonly file: TemporaryFile,
    readonly pointer: StoredPointer,
  ) {}

  /** Writes it into a file, which is then the draft's. */
  static async write(file: TemporaryFile, pointer: StoredPointer): Promise<PointerDraft> {
    try {
      await file.handle.writeFile(formatPointer(pointer));
      await file.handle.sync();
    } catch (error) {
      await file.discard();
      throw error;
    }
    return new PointerDraft(file, pointer);
  }

  /** Only under the store's lock. `folder`: the pointer's, where it is there and held. */
  async move(place: BlobPlace, folder: HeldFolder | undefined): Promise<void> {
    await movePointer(this.file.file, place, folder);
    this.#isMoved = true;
  }

  /** Removes what was not moved. Never throws. */
  async release(): Promise<void> {
    if (this.#isMoved) this.file.keep();
    else await this.file.discard();
  }
}

/** Moves a written pointer to its place, whose folders it makes. */
async function movePointer(file: string, place: BlobPlace, held: HeldFolder | undefined): Promise<void> {
  const subject = blobSubject(place.path);
  const moveInto = async (folder: HeldFolder) => {
    try {
      await rename(file, folder.at(basename(place.pointer)));
    } catch (error) {
      // Renaming onto a folder: nothing of the store's making is one there.
      if (hasCode(error, 'EISDIR')) throw damaged(subject, 'a folder is where its pointer belongs');
      throw error;
    }
  };
  // Much may have happened since it was held.
  if (held?.isInPlace() === true) await moveInto(held);
  else await releaseAfter(await makeFolder(subject, place.folder, place.tenant.root), moveInto);
}
