import { existsSync, readlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { letGo } from './blob-io';

/** Below this, Linux has what a process holds open; a path that goes on from there goes on from the folder itself. */
const OPEN_FILES = '/proc/self/fd';

/** True where the system keeps hold of folders and tells where an open file lies. */
export const canHold = process.platform === 'linux' && existsSync(OPEN_FILES);

/** The folder or file that is open, whatever has become of the path that it was opened by. */
export function pathOfOpen({ fd }: FileHandle): string {
  return join(OPEN_FILES, String(fd));
}

/** Where what is open lies now, with ` (deleted)` behind it where it was removed. Linux has it in memory: nothing to wait for. */
export function whereIs(handle: FileHandle): string {
  return readlinkSync(pathOfOpen(handle));
}

/** True where what is open lies at this path now, with no link on the way, as far as the system tells. */
export function isInPlace(handle: FileHandle, path: string): boolean {
  try {
    return canHold && whereIs(handle) === path;
  } catch {
    return false;
  }
}

/** How long a folder stays open for whoever needs it next, ms. */
const KEPT_MS = 1_000;

/** Folders that are kept open at a time: a store has 256 for the contents of a tenant. */
const MAX_KEPT = 256;

/** A folder that is open, perhaps for others too. */
export interface OpenFolder {
  readonly handle: FileHandle;
  /** A second time does nothing. */
  release(): void;
}

/**
 * Keeps folders open for a moment: writing one blob needs the same few several times, and so do the blobs after it. Of one that was kept it is looked
 * up whether it still lies where it is asked for, with no link on the way. What Linux does not tell is seen once it is not kept any more: a disk that
 * was mounted over it, or what another machine did to it on a disk of the network.
 */
class OpenFolders {
  readonly #kept = new Map<string, KeptFolder>();

  /** One that was kept, to use; undefined where there is none, or it does not lie there any more. */
  find(folder: string): OpenFolder | undefined {
    return this.#find(folder)?.use();
  }

  #find(folder: string): KeptFolder | undefined {
    const kept = this.#kept.get(folder);
    if (kept === undefined) return undefined;
    if (isInPlace(kept.handle, folder)) return kept;
    this.#forget(folder, kept);
    return undefined;
  }

  /** True where the entry of a folder is known to be on the disk: this very folder, not another one that was made in its place. */
  isSettled(folder: string): boolean {
    return this.#find(folder)?.isSettled === true;
  }

  /** To be called once the folders above these are flushed, if they still were where they are now. */
  settling(folders: readonly string[]): () => void {
    const kept = folders.map((folder) => this.#find(folder));
    return () => {
      for (const each of kept) if (each !== undefined) each.isSettled = true;
    };
  }

  /** Takes charge of one that was opened. `isKept`: where it lies there, with no link on the way, and there is room. */
  add(folder: string, handle: FileHandle, { isKept }: { readonly isKept: boolean }): OpenFolder {
    const opened = new KeptFolder(handle);
    if (isKept && !this.#kept.has(folder) && this.#kept.size < MAX_KEPT && isInPlace(handle, folder)) {
      this.#kept.set(folder, opened);
      opened.keep();
      setTimeout(() => this.#forget(folder, opened), KEPT_MS).unref();
    }
    return opened.use();
  }

  #forget(folder: string, kept: KeptFolder): void {
    if (this.#kept.get(folder) !== kept) return;
    this.#kept.delete(folder);
    kept.forget();
  }
}

/** Closes once it is not kept, and nobody uses it any more. */
class KeptFolder {
  /** Its entry in the folder above is on the disk. */
  isSettled = false;
  #isKept = false;
  #uses = 0;

  constructor(readonly handle: FileHandle) {}

  keep(): void {
    this.#isKept = true;
  }

  forget(): void {
    this.#isKept = false;
    this.#closeIfUnused();
  }

  use(): OpenFolder {
    let isInUse = true;
    this.#uses += 1;
    const release = () => {
      if (!isInUse) return;
      isInUse = false;
      this.#uses -= 1;
      this.#closeIfUnused();
    };
    return { handle: this.handle, release };
  }

  #closeIfUnused(): void {
    if (this.#uses === 0 && !this.#isKept) letGo(this.handle);
  }
}

/** Of the whole process. */
export const openFolders = new OpenFolders();
