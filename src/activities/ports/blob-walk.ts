import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { holdFolder } from './blob-folder';
import { hasCode } from './blob-io';
import { decodeTreeName } from './blob-path';
import { readPointer } from './blob-pointer';
import type { BlobInfo } from './blob-store';

/** Pointers that are read at a time: enough to keep Node's four file threads busy. */
const BATCH = 16;

/** Entries of a folder that are read before other work gets its turn, and those that are sorted at once: some 10 ms. */
const READ_AT_ONCE = 1_024;
const RUN = 4_096;

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
  const infos = await Promise.all(batch.map((found) => readPointer(found)));
  return infos.filter((info) => info !== undefined);
}

/** Depth first, on a stack of its own: paths may be 512 segments deep. */
async function* walkPointers(subject: string, range: WalkRange): AsyncGenerator<Found> {
  const stack = [await readEntries(subject, { text: range.base, file: range.folder, isBlob: false }, range)];
  for (let folder = stack.at(-1); folder !== undefined; folder = stack.at(-1)) {
    const entry = folder.takeFirst();
    if (entry === undefined) stack.pop();
    else if (entry.isBlob) yield { path: entry.text, pointer: entry.file };
    else stack.push(await readEntries(subject, entry, range));
  }
}

/**
 * A folder's entries by the beginnings of their paths, which sorts all that is below them: a blob `a` is before the folder
 * `a/`, `a-b` before both `a/` and `a0`, and what lies between two texts lies below neither (blob-path.ts).
 *
 * Kept in sorted runs and merged when they are taken: sorting a million entries at once would hold up the event loop, and with
 * it the steps of all tenants, for a second.
 */
class SortedEntries {
  /** The first entry last, so that taking it is cheap. */
  readonly #runs: Entry[][] = [];

  addRun(entries: readonly Entry[]): void {
    if (entries.length > 0) this.#runs.push([...entries].sort(byTextDescending));
  }

  takeFirst(): Entry | undefined {
    let first: Entry[] | undefined;
    for (const run of this.#runs) {
      const text = run.at(-1)?.text;
      const least = first?.at(-1)?.text;
      if (text !== undefined && (least === undefined || text < least)) first = run;
    }
    return first?.pop();
  }
}

function byTextDescending(left: Entry, right: Entry): number {
  return left.text < right.text ? 1 : -1;
}

function isInRange({ text, isBlob }: Entry, { prefix, after }: WalkRange): boolean {
  if (isBlob) return text.startsWith(prefix) && (after === undefined || text > after);
  if (!text.startsWith(prefix) && !prefix.startsWith(text)) return false;
  return after === undefined || text > after || after.startsWith(text);
}

async function readEntries(subject: string, folder: Entry, range: WalkRange): Promise<SortedEntries> {
  const sorted = new SortedEntries();
  let run: Entry[] = [];
  for await (const found of listFolder(subject, folder.file)) {
    const entry = toEntry(found, folder.file, folder.text);
    if (entry === undefined || !isInRange(entry, range)) continue;
    run.push(entry);
    if (run.length < RUN) continue;
    sorted.addRun(run);
    run = [];
  }
  sorted.addRun(run);
  return sorted;
}

/** A folder that is pruned meanwhile has nothing. */
async function* listFolder(subject: string, path: string): AsyncGenerator<Dirent> {
  const folder = await holdFolder(subject, path);
  if (folder === undefined) return;
  try {
    yield* await opendir(folder.path, { bufferSize: READ_AT_ONCE });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  } finally {
    folder.release();
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
