import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasCode } from './blob-io';
import { SharedWork } from './shared-work';

/** Folders that are open at a time while they are made durable; paths may be 512 deep. */
const SYNCS_AT_ONCE = 8;

/**
 * Makes the entries of folders and of every folder above them durable, up to the root. All of them each time: another writer may have made
 * one a moment ago and not be that far yet. Clean folders cost next to nothing, and writers that want the same at once share it.
 */
export async function syncFolders(folders: readonly string[], root: string): Promise<void> {
  const all = new Set<string>();
  for (let folder of folders) {
    for (; !all.has(folder); folder = dirname(folder)) {
      all.add(folder);
      if (folder === root) break;
    }
  }
  const list = [...all];
  for (let start = 0; start < list.length; start += SYNCS_AT_ONCE) {
    await Promise.all(list.slice(start, start + SYNCS_AT_ONCE).map((folder) => syncs.share(folder)));
  }
}

/** Makes the entries of a folder durable. A folder that is gone meanwhile needs nothing: its entries are gone, too. */
async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; NTFS journals their entries itself.
  if (process.platform === 'win32') return;
  let handle: FileHandle;
  try {
    handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Of the whole process: stores on one root share it, too. */
const syncs = new SharedWork(syncFolder);
