import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { link, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { retryable } from '../block-failure';
import { ensureFolder } from '../ports/blob-folder';
import { hasCode, isFolder, removeFile } from '../ports/blob-io';
import { syncFolders } from '../ports/folder-sync';
import { writeDurably } from './durable-file';

/** What a payload store signs claims with. */
export interface StoreKey {
  /** 256 random bits; never leaves the folder of the store and the memory of those who read it. */
  readonly secret: Buffer;
  /** Tells stores apart, in claims and messages; says nothing about the secret. */
  readonly storeId: string;
}

const KEY_BYTES = 32;

/**
 * Reads the key of the store in `root`; makes it where it is missing and may be made. All processes get the same one.
 * Throws what the file system says, ENOENT above all, and BLW_PAYLOAD_STORE where the file is not a key.
 */
export async function readStoreKey(root: string, { canCreate }: { canCreate: boolean }): Promise<StoreKey> {
  const file = join(root, 'key');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (!canCreate || !hasCode(error, 'ENOENT')) throw error;
    await createKey(root, file);
    text = await readFile(file, 'utf8');
  }
  const secret = Buffer.from(text.trim(), 'hex');
  if (secret.length !== KEY_BYTES) {
    throw retryable(
      'BLW_PAYLOAD_STORE',
      `${file}: got ${text.length} characters, expected 64 hexadecimal digits; restore the file from a backup`,
    );
  }
  return {
    secret,
    storeId: createHash('sha256').update('beamline payload store\0').update(secret).digest('hex').slice(0, 16),
  };
}

/** Linked into place only when it is complete: nobody reads half a key, and of several writers the first one's counts. */
async function createKey(root: string, file: string): Promise<void> {
  const folder = join(root, 'temporary');
  if (!(await isFolder('The payload store', folder))) await ensureFolder('The payload store', folder, root);
  const temporary = join(folder, randomUUID());
  await writeDurably(temporary, Buffer.from(`${randomBytes(KEY_BYTES).toString('hex')}\n`));
  try {
    await link(temporary, file);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await removeFile(temporary);
  }
  await syncFolders([root], root);
}
