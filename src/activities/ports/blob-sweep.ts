import type { Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TemporaryFiles } from './blob-content';
import { type HeldFolder, inFolder } from './blob-folder';
import { hasCode, removeFile } from './blob-io';
import { type TenantPlaces, tenantPlacesAt } from './blob-layout';
import type { StoreLock } from './blob-lock';
import { isTenantFolderName } from './blob-path';
import { walkBlobs } from './blob-walk';

const SUBJECT = 'Sweep of the blob store';

const READ_AT_ONCE = 1_024;

interface Sweep {
  readonly lock: StoreLock;
  readonly temporary: TemporaryFiles;
  /** Only what is older is removed, in milliseconds since 1970. */
  readonly cutoffMs: number;
  readonly total: { removed: number; freedBytes: number };
}

/**
 * Removes what nothing refers to: objects without a pointer, leftovers of interrupted writes, and what deletes left for
 * their retries; each only where it is older than `graceMs`.
 *
 * Why it is safe for objects, whatever `graceMs`: a put refreshes its object's time and moves its pointer in one turn of
 * the lock. The cutoff is taken in a turn, too. Puts whose turn was before it have their pointers in place, so the mark
 * finds them; the objects of later ones are younger than the cutoff when the removal, in its own turn, looks again.
 * Readers that lose an object read the pointer again. The clock must not be set back by more than `graceMs` meanwhile.
 * Temporary files of this store that are in use stay; those of other processes are spared by their age alone, so
 * `graceMs` should be longer than a transfer may pause (a put whose file was taken fails, retryable).
 */
export async function sweepStore(options: {
  root: string;
  lock: StoreLock;
  temporary: TemporaryFiles;
  graceMs: number;
}): Promise<{ removed: number; freedBytes: number }> {
  const { root, lock, temporary, graceMs } = options;
  const cutoffMs = await lock.run(async () => Date.now() - graceMs);
  const sweep: Sweep = { lock, temporary, cutoffMs, total: { removed: 0, freedBytes: 0 } };
  const tenants = await inFolder(SUBJECT, root, listFolders);
  const failures: unknown[] = [];
  for (const name of (tenants ?? []).filter(isTenantFolderName)) {
    // What is broken in one tenant's folder must not let the others' garbage grow.
    await sweepTenant(sweep, tenantPlacesAt(root, name)).catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
  return sweep.total;
}

async function sweepTenant(sweep: Sweep, places: TenantPlaces): Promise<void> {
  await sweepFolder(sweep, places.temporary, (name) => !sweep.temporary.isInUse(name));
  await sweepFolder(sweep, places.deleted, () => true);
  const referenced = await markReferenced(places);
  for (const name of (await inFolder(SUBJECT, places.objects, listFolders)) ?? []) {
    await sweepFolder(sweep, join(places.objects, name), (object) => !referenced.has(object));
  }
}

/** Looks and removes in the folder that was opened, whatever is put in its place meanwhile. */
async function sweepFolder(sweep: Sweep, path: string, isGarbage: (name: string) => boolean): Promise<void> {
  await inFolder(SUBJECT, path, async (folder) => {
    for (const name of (await listFiles(folder)).filter(isGarbage)) await removeOld(sweep, folder.at(name));
  });
}

/** Hashes that a pointer refers to. About 100 bytes of memory for each content of the tenant. */
async function markReferenced(places: TenantPlaces): Promise<Set<string>> {
  const referenced = new Set<string>();
  const everything = { folder: places.blobs, base: '', prefix: '' };
  for await (const { sha256 } of walkBlobs(SUBJECT, everything)) referenced.add(sha256);
  return referenced;
}

/** Looks without the lock first, so that writers are not held up for what stays. */
async function removeOld(sweep: Sweep, file: string): Promise<void> {
  if ((await sizeIfOld(sweep, file)) === undefined) return;
  await sweep.lock.run(async () => {
    const size = await sizeIfOld(sweep, file);
    if (size === undefined || !(await removeFile(file))) return;
    sweep.total.removed += 1;
    sweep.total.freedBytes += size;
  });
}

async function sizeIfOld(sweep: Sweep, file: string): Promise<number | undefined> {
  try {
    const { mtimeMs, size, nlink } = await lstat(file);
    // Rounded: a time that was set to a whole millisecond may read as a little less.
    if (Math.round(mtimeMs) >= sweep.cutoffMs) return undefined;
    // A file with a second name frees nothing yet.
    return nlink > 1 ? 0 : size;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function listFiles(folder: HeldFolder): Promise<string[]> {
  return await namesIn(folder, (entry) => !entry.isDirectory());
}

async function listFolders(folder: HeldFolder): Promise<string[]> {
  return await namesIn(folder, (entry) => entry.isDirectory());
}

/** Read in parts, so that a folder with very many files does not hold up the event loop. */
async function namesIn({ path }: HeldFolder, isWanted: (entry: Dirent) => boolean): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of await opendir(path, { bufferSize: READ_AT_ONCE })) {
    if (isWanted(entry)) names.push(entry.name);
  }
  return names;
}
