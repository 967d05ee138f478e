import { randomUUID } from 'node:crypto';
import { access, chmod, constants, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';

/**
 * Replaces what a file has: whoever reads it meanwhile sees the old or the new text, never half. Its mode stays; a link goes on
 * to lead to it. Throws the file system's errors, and leaves the file as it was then.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const file = await realpath(path);
  // A rename would take no notice of a file that may not be written.
  await access(file, constants.W_OK);
  const { mode } = await stat(file);
  const fresh = `${file}.${randomUUID()}.tmp`;
  try {
    await writeFile(fresh, text, { flag: 'wx', mode });
    // The process's umask may have taken something off it.
    await chmod(fresh, mode);
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}
