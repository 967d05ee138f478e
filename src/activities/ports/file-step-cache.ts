import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { lstat, open, readdir, realpath, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isJsonObject, type Json } from '../../dsl/json';
import { ensureFolder } from './blob-folder';
import { hasCode, isFolder, letGo, removeFile } from './blob-io';
import { encodeTenant } from './blob-path';
import { openToRead, readWhole } from './blob-read';
import type { ResultId, StepCache } from './step-cache';

const SUBJECT = 'Cache of step results';

/** Leftovers of interrupted writes are removed after a day: no write takes that long. */
const TEMPORARY_MS = 86_400_000;

/** The name is not that of a tenant's folder (blob-path.ts): no blob is in here, and no sweep of blobs comes here. */
const FOLDER = 'cache';
const TEMPORARY = 'temporary';

interface Entry {
  /** Milliseconds since 1970. */
  readonly storedAt: number;
  readonly output: Json;
}

/**
 * Keeps results of steps in a folder below the blob store's root, so that all workers with that root share them:
 *
 *     <root>/cache/<tenant>=t/ab/<digest>  one result each, replaced as a whole
 *     <root>/cache/temporary/<uuid>        what is being written
 *
 * The time of a file is when its result is to be removed. Nothing is made durable: a result that a crash takes is made
 * again, and a file that is damaged counts as none. Links below the root are refused. `now` is in milliseconds since 1970.
 */
export function createFileStepCache(options: { root: string; now?: () => number }): StepCache {
  return new FileStepCache(options.root, options.now ?? Date.now);
}

class FileStepCache implements StepCache {
  constructor(
    private readonly root: string,
    private readonly now: () => number,
  ) {}

  async get({ tenant, digest }: ResultId, maxAgeMs: number): Promise<{ readonly output: Json } | undefined> {
    const entry = await readEntry(entryFile(await realpath(this.root), tenant, digest));
    // Also one from the future, which a clock that was set back has left, is not used for longer.
    if (entry === undefined || Math.abs(this.now() - entry.storedAt) > maxAgeMs) return undefined;
    return { output: entry.output };
  }

  async put({ tenant, digest }: ResultId, output: Json, maxAgeMs: number): Promise<void> {
    const root = await realpath(this.root);
    const file = entryFile(root, tenant, digest);
    const temporary = join(root, FOLDER, TEMPORARY, randomUUID());
    for (const folder of [dirname(file), dirname(temporary)]) await ensureFolder(SUBJECT, folder, root);
    const entry: Entry = { storedAt: this.now(), output };
    try {
      await writeEntry(temporary, entry, new Date(entry.storedAt + maxAgeMs));
      await rename(temporary, file);
    } catch (error) {
      await removeFile(temporary).catch(() => undefined);
      throw error;
    }
  }

  async sweep(): Promise<{ removed: number; freedBytes: number }> {
    const total = { removed: 0, freedBytes: 0 };
    const cache = join(await realpath(this.root), FOLDER);
    for (const folder of await foldersIn(cache)) {
      if (basename(folder) === TEMPORARY) await removeOld(folder, this.now() - TEMPORARY_MS, total);
      else for (const part of await foldersIn(folder)) await removeOld(part, this.now(), total);
    }
    return total;
  }
}

function entryFile(root: string, tenant: string, digest: string): string {
  return join(root, FOLDER, encodeTenant(tenant), digest.slice(0, 2), digest);
}

async function readEntry(file: string): Promise<Entry | undefined> {
  const opened = await openToRead(SUBJECT, file);
  if (opened === undefined) return undefined;
  try {
    return parseEntry((await readWhole(opened)).toString());
  } finally {
    letGo(opened.handle);
  }
}

function parseEntry(text: string): Entry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || typeof value.storedAt !== 'number' || value.output === undefined) return undefined;
  return { storedAt: value.storedAt, output: value.output };
}

async function writeEntry(file: string, entry: Entry, removeAfter: Date): Promise<void> {
  const handle = await open(file, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    await handle.writeFile(JSON.stringify(entry));
    await handle.utimes(removeAfter, removeAfter);
  } finally {
    await handle.close();
  }
}

/** Removes the files of a folder whose time is before `cutoffMs`. One that is replaced meanwhile is only missed once. */
async function removeOld(
  folder: string,
  cutoffMs: number,
  total: { removed: number; freedBytes: number },
): Promise<void> {
  for (const file of await entriesIn(folder, (entry) => entry.isFile())) {
    const size = await sizeIfOlder(file, cutoffMs);
    if (size === undefined || !(await removeFile(file))) continue;
    total.removed += 1;
    total.freedBytes += size;
  }
}

async function sizeIfOlder(file: string, cutoffMs: number): Promise<number | undefined> {
  try {
    const { mtimeMs, size } = await lstat(file);
    // Rounded: a time that was set to a whole millisecond may read as a little less.
    return Math.round(mtimeMs) < cutoffMs ? size : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function foldersIn(folder: string): Promise<string[]> {
  return await entriesIn(folder, (entry) => entry.isDirectory());
}

/** Paths in a folder; none where it does not exist. @throws BLW_FS_IO where a link is in the way */
async function entriesIn(folder: string, isWanted: (entry: Dirent) => boolean): Promise<string[]> {
  const entries = (await isFolder(SUBJECT, folder)) ? await readdir(folder, { withFileTypes: true }) : [];
  return entries.filter(isWanted).map(({ name }) => join(folder, name));
}
