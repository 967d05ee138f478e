import { rename } from 'node:fs/promises';
import { isJsonObject, type Json } from '../../dsl/json';
import { damaged, ensureFolder, hasCode, openToRead } from './blob-io';
import type { BlobPlace } from './blob-layout';
import { quote } from './blob-path';
import type { BlobInfo } from './blob-store';

/** How messages call a blob. */
export function blobSubject(path: string): string {
  return `Blob ${quote(path)}`;
}

/** A blob's info as the text of its pointer file. */
export function formatPointer(info: BlobInfo): string {
  const { path, size, sha256, contentType, modifiedAt } = info;
  return `${JSON.stringify({ path, size, sha256, contentType, modifiedAt: modifiedAt.toISOString() })}\n`;
}

/** Reads a blob's pointer; undefined where there is none. @throws BLW_FS_IO where it is damaged */
export async function readPointer(place: Pick<BlobPlace, 'path' | 'pointer'>): Promise<BlobInfo | undefined> {
  const subject = blobSubject(place.path);
  const handle = await openToRead(subject, place.pointer);
  if (handle === undefined) return undefined;
  let text: string;
  try {
    text = await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
  const info = parsePointer(text);
  if (info?.path !== place.path) throw damaged(subject, 'its pointer file is damaged');
  return info;
}

function parsePointer(text: string): BlobInfo | undefined {
  const value = parseJson(text);
  if (!isJsonObject(value)) return undefined;
  const { path, size, sha256, contentType, modifiedAt } = value;
  if (typeof path !== 'string' || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  if (typeof modifiedAt !== 'string' || Number.isNaN(Date.parse(modifiedAt))) return undefined;
  if (contentType !== undefined && typeof contentType !== 'string') return undefined;
  const info = { path, size, sha256, modifiedAt: new Date(modifiedAt) };
  return contentType === undefined ? info : { ...info, contentType };
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** Moves a written pointer to its place, whose folders it makes. Only under the store's lock. */
export async function movePointer(file: string, place: BlobPlace): Promise<void> {
  await ensureFolder(blobSubject(place.path), place.folder, place.tenant.root);
  try {
    await rename(file, place.pointer);
  } catch (error) {
    // Renaming onto a folder: nothing of the store's making is one there.
    if (hasCode(error, 'EISDIR')) throw damaged(blobSubject(place.path), 'a folder is where its pointer belongs');
    throw error;
  }
}
