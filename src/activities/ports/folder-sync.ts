import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { hasCode } from './blob-io';
import type { TenantPlaces } from './blob-layout';
import { canHold, type OpenFolder, openFolders } from './open-folders';
import { SharedWork } from './shared-work';

/** Folders that are open at a time while they are made durable; paths may be 512 deep. */
const SYNCS_AT_ONCE = 8;

/** Folders that are remembered; a store has some 260 for each tenant. */
const MAX_SETTLED = 50_000;

/**
 * Lasting folders that this process knows to be on the disk, with those above them. What it makes again, since somebody has removed it by hand, is
 * none of them any more ({@link wasMade}).
 */
const settled = new Set<string>();

/**
 * Makes the entries of folders and of every folder above them durable, up to the root: also those that were there, since another writer may have made
 * one a moment ago and not be that far yet. Of a folder that lasts, which is true of one that no writer removes, that is done once; of another one
 * while it is kept open. Writers that want the same at once share it.
 */
export async function syncFolders(
  folders: readonly string[],
  root: string,
  lasts: (folder: string) => boolean = () => false,
): Promise<void> {
  const { list, lasting } = foldersOf(folders, root, lasts);
  // Above the root nothing is flushed.
  const settle = openFolders.settling(list.filter((folder) => folder !== root));
  for (let start = 0; start < list.length; start += SYNCS_AT_ONCE) {
    await Promise.all(list.slice(start, start + SYNCS_AT_ONCE).map((folder) => syncs.share(folder)));
  }
  if (settled.size > MAX_SETTLED) settled.clear();
  for (const folder of lasting) settled.add(folder);
  settle();
}

/** Folders whose entries have to be made durable for these, and those of them and above that last. */
export function foldersOf(
  folders: readonly string[],
  root: string,
  lasts: (folder: string) => boolean,
): { readonly list: readonly string[]; readonly lasting: readonly string[] } {
  const list = new Set<string>();
  const lasting: string[] = [];
  for (let folder of folders) {
    for (; !list.has(folder); folder = dirname(folder)) {
      list.add(folder);
      if (folder === root || settled.has(folder) || openFolders.isSettled(folder)) break;
      if (lasts(folder)) lasting.push(folder);
    }
  }
  return { list: [...list], lasting };
}

/** The same for a tenant's folders of a blob store. All of them last but those of the paths, which go with their last blob. */
export async function syncPlaces({ root, blobs }: TenantPlaces, folders: readonly string[]): Promise<void> {
  const below = join(blobs, sep);
  await syncFolders(folders, root, (folder) => !folder.startsWith(below));
}

/** To be told of every folder that is made. */
export function wasMade(folder: string): void {
  settled.delete(folder);
}

/** Makes the entries of a folder durable. A folder that is gone meanwhile needs nothing: its entries are gone, too. */
async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; NTFS journals their entries itself.
  if (process.platform === 'win32') return;
  const opened = openFolders.find(folder) ?? (await openFolder(folder));
  try {
    await opened?.handle.sync();
  } finally {
    opened?.release();
  }
}

async function openFolder(folder: string): Promise<OpenFolder | undefined> {
  try {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    return openFolders.add(folder, handle, { isKept: canHold });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Of the whole process: stores on one root share it, too. */
const syncs = new SharedWork(syncFolder);
