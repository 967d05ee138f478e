import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Writes a new file, for this user only, that is on the disk when it returns; its folder's entry is not yet. */
export async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(
    file,
    constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
