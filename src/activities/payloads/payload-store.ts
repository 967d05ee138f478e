import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, lstat, mkdir, realpath, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { type BlockFailure, notRetryable, retryable } from '../block-failure';
import { ensureFolder } from '../ports/blob-folder';
import { errorCode, hasCode, isFolder, letGo, removeFile } from '../ports/blob-io';
import { touch } from '../ports/blob-objects';
import { openToRead, readWhole } from '../ports/blob-read';
import { syncFolders } from '../ports/folder-sync';
import { writeDurably } from './durable-file';
import { readStoreKey, type StoreKey } from './store-key';

/** Bytes that are hashed or written at once, so that a large payload does not hold up the event loop. */
const SLICE_BYTES = 4 << 20;

/** Pauses before content that is not there is looked for again: a shared file system may show it late. */
const LOOK_AGAIN_MS = [50, 300, 1_000];

/** Content as its claim describes it. */
export interface ContentId {
  readonly sha256: string;
  readonly size: number;
}

/**
 * Where the contents of large payloads are:
 *
 *     <blob root>/payloads/key                 what claims are signed with (store-key.ts)
 *     <blob root>/payloads/objects/ab/<sha256> contents, named by their hash, never changed
 *     <blob root>/payloads/temporary/<uuid>    what is being written
 *
 * Tenants' blobs are in folders whose names end with `=t` or `=h` (blob-path.ts): no blob can be here, and no path of a
 * blob leads here.
 */
export class PayloadStore {
  #opened: Promise<{ root: string; key: StoreKey }> | undefined;

  /** `blobRoot` is absolute. Only one with `canCreate`, which is a worker's, makes the store where there is none. */
  constructor(private readonly options: { readonly blobRoot: string; readonly canCreate: boolean }) {}

  /** The folder, for messages. */
  get folder(): string {
    return join(this.options.blobRoot, 'payloads');
  }

  /** Throws BLW_PAYLOAD_STORE where there is no store or it cannot be read. */
  async key(): Promise<StoreKey> {
    return (await this.#open()).key;
  }

  /**
   * Keeps content, durably, and tells what it is called; content that is there already is not written again, only its age
   * starts anew. Safe among several processes. Throws BLW_PAYLOAD_STORE (retryable).
   */
  async put(bytes: Uint8Array): Promise<ContentId> {
    const id = { sha256: await hashOf(bytes), size: bytes.length };
    return await this.#guard(async () => {
      const { root } = await this.#open();
      const file = objectFile(root, id.sha256);
      if (!(await renew(file, id.size))) await this.#write(root, file, bytes);
      return id;
    });
  }

  /**
   * Reads content, checked, and starts its age anew. Throws BLW_PAYLOAD_MISSING and BLW_PAYLOAD_DAMAGED (not retryable), and
   * BLW_PAYLOAD_STORE (retryable) where the store as a whole cannot be read, which says nothing about the content.
   */
  async get({ sha256, size }: ContentId): Promise<Uint8Array> {
    const bytes = await this.#guard(async () => {
      const { root } = await this.#open();
      return await this.#readSoon(root, objectFile(root, sha256));
    });
    if (bytes === undefined) {
      throw notRetryable(
        'BLW_PAYLOAD_MISSING',
        `payload ${sha256} (${size} bytes) is not in ${this.folder}; use the blob root that it was written to (--blob-root), or restore the file objects/${sha256.slice(0, 2)}/${sha256} there`,
      );
    }
    if (bytes.length === size && (await hashOf(bytes)) === sha256) return bytes;
    throw notRetryable(
      'BLW_PAYLOAD_DAMAGED',
      `payload ${sha256}: the file has ${bytes.length} bytes, expected ${size} bytes with this SHA-256; restore objects/${sha256.slice(0, 2)}/${sha256} in ${this.folder} from a backup`,
    );
  }

  /** Opens the store; a failure is not kept, so that a folder which is mounted later is found. */
  async #open(): Promise<{ root: string; key: StoreKey }> {
    this.#opened ??= this.#openOnce();
    try {
      return await this.#opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  async #openOnce(): Promise<{ root: string; key: StoreKey }> {
    return await this.#guard(async () => {
      if (this.options.canCreate) await mkdir(this.folder, { recursive: true, mode: 0o700 });
      const root = await realpath(this.folder);
      return { root, key: await readStoreKey(root, this.options) };
    });
  }

  async #readSoon(root: string, file: string): Promise<Uint8Array | undefined> {
    for (const pauseMs of [0, ...LOOK_AGAIN_MS]) {
      if (pauseMs > 0) await delay(pauseMs);
      const bytes = await readAndRenew(file);
      if (bytes !== undefined) return bytes;
    }
    // Is it only this file that is gone, or the whole store, e.g. since its disk is not mounted?
    await readStoreKey(root, { canCreate: false });
    return undefined;
  }

  async #write(root: string, file: string, bytes: Uint8Array): Promise<void> {
    const folder = dirname(file);
    const temporary = join(root, 'temporary', randomUUID());
    for (const needed of [folder, dirname(temporary)]) {
      if (!(await isFolder(this.folder, needed))) await ensureFolder(this.folder, needed, root);
    }
    try {
      await writeDurably(temporary, bytes);
      // The same content under the same name, whoever is first.
      await rename(temporary, file);
    } catch (error) {
      await removeFile(temporary).catch(() => undefined);
      throw error;
    }
    await syncFolders([folder], root);
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw errorCode(error) === undefined ? error : this.#unusable(error);
    }
  }

  #unusable(cause: unknown): BlockFailure {
    const advice = hasCode(cause, 'ENOENT')
      ? 'give the blob root of the workers with --blob-root; a worker makes the store when it starts'
      : 'look at its space, permissions and whether it is mounted';
    return retryable('BLW_PAYLOAD_STORE', `the payload store ${this.folder}: ${errorCode(cause)}; ${advice}`, {
      cause,
    });
  }
}

/** Path of a content. */
export function objectFile(root: string, sha256: string): string {
  return join(root, 'objects', sha256.slice(0, 2), sha256);
}

/** True where the content is there; its age starts anew then. What is there was complete before it got its name. */
async function renew(file: string, size: number): Promise<boolean> {
  try {
    const found = await lstat(file);
    if (!found.isFile() || found.size !== size) return false;
    await touch(file);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

async function readAndRenew(file: string): Promise<Uint8Array | undefined> {
  const opened = await openToRead('The payload store', file);
  if (opened === undefined) return undefined;
  try {
    const bytes = await readWhole(opened);
    await renewRead(opened.handle);
    return bytes;
  } finally {
    letGo(opened.handle);
  }
}

/** A reader may have no right to write; the age is then that of the last use by a worker. */
async function renewRead(handle: FileHandle): Promise<void> {
  const now = new Date();
  try {
    await handle.utimes(now, now);
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
  }
}

/** SHA-256 in hexadecimal. */
async function hashOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
    if (start > 0) await nextTurn();
    hash.update(bytes.subarray(start, start + SLICE_BYTES));
  }
  return hash.digest('hex');
}
