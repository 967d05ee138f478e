import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inFolder } from './blob-folder';
import { hasCode } from './blob-io';
import { decodeTreeName } from './blob-path';
import { readPointer } from './blob-pointer';
import type { BlobInfo } from './blob-store';

/** Pointers that are read at a time: enough to keep Node's four file threads busy. */
const BATCH = 16;

/** Which blobs a walk visits. */
export interface WalkRange {
  /** Where to begin: a folder of the tree, and the text that every path below it begins with. */
  readonly folder: string;
  readonly base: string;
  readonly prefix: string;
  /** Only paths after this one. */
  readonly after?: string;
}

interface Found {
  readonly path: string;
  readonly pointer: string;
}

/** A blob; or a folder, and then every path below begins with `text`. */
interface Entry {
  readonly text: string;
  readonly file: string;
  readonly isBlob: boolean;
}

/**
 * Infos of the blobs in a range, in code unit order of their paths. Folders that cannot hold any are not read. No
 * snapshot: a blob that is put or deleted meanwhile may be in it or not; one that is there all the time is, once.
 */
export async function* walkBlobs(subject: string, range: WalkRange): AsyncGenerator<BlobInfo> {
  let batch: Found[] = [];
  for await (const found of walkPointers(subject, range)) {
    batch.push(found);
    if (batch.length < BATCH) continue;
    yield* await readPointers(batch);
    batch = [];
  }
  yield* await readPointers(batch);
}

async function readPointers(batch: readonly Found[]): Promise<BlobInfo[]> {
  const infos = await Promise.all(batch.map(readPointer));
  return infos.filter((info) => info !== undefined);
}

/** Depth first, on a stack of its own: paths may be 512 segments deep. */
async function* walkPointers(subject: string, range: WalkRange): AsyncGenerator<Found> {
  const stack: Entry[] = [{ text: range.base, file: range.folder, isBlob: false }];
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    if (entry.isBlob) {
      yield { path: entry.text, pointer: entry.file };
    } else {
      const entries = await readEntries(subject, entry.file, entry.text);
      stack.push(...entries.filter((candidate) => isInRange(candidate, range)).sort(byTextDescending));
    }
  }
}

/**
 * Sorting a folder's entries by the beginnings of their paths sorts all that is below them: a blob `a` is before the
 * folder `a/`, `a-b` before both `a/` and `a0`, and what lies between two texts lies below neither (blob-path.ts).
 */
function byTextDescending(left: Entry, right: Entry): number {
  return left.text < right.text ? 1 : -1;
}

function isInRange({ text, isBlob }: Entry, { prefix, after }: WalkRange): boolean {
  if (isBlob) return text.startsWith(prefix) && (after === undefined || text > after);
  if (!text.startsWith(prefix) && !prefix.startsWith(text)) return false;
  return after === undefined || text > after || after.startsWith(text);
}

async function readEntries(subject: string, folder: string, base: string): Promise<Entry[]> {
  const found = await listFolder(subject, folder);
  return found.map((entry) => toEntry(entry, folder, base)).filter((entry) => entry !== undefined);
}

async function listFolder(subject: string, folder: string): Promise<Dirent[]> {
  try {
    return (await inFolder(subject, folder, ({ path }) => readdir(path, { withFileTypes: true }))) ?? [];
  } catch (error) {
    // Pruned since.
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Undefined for what the store did not make: foreign names, links. */
function toEntry(found: Dirent, folder: string, base: string): Entry | undefined {
  const name = decodeTreeName(found.name);
  if (name === undefined) return undefined;
  const isBlob = name.kind === 'blob';
  if (isBlob ? !found.isFile() : !found.isDirectory()) return undefined;
  const text = base + name.text + (name.kind === 'folder' ? '/' : '');
  return { text, file: join(folder, found.name), isBlob };
}
