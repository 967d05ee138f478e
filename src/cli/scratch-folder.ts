import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usageError } from './command-error';
import type { ReleaseStack } from './release-stack';

/** Makes a folder of this command's own below that for temporary files; it is removed with the stack, or where the process ends before. Throws BLW_USAGE where it cannot be made. */
export async function makeScratchFolder(name: string, releases: ReleaseStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `beamline-${name}-`)).catch((cause: NodeJS.ErrnoException) => {
    throw usageError(
      `the folder for temporary files, ${tmpdir()}, cannot be written (${cause.code ?? cause.message})`,
      {
        cause,
        help: 'Make it, or name another one in TMPDIR.',
      },
    );
  });
  // Also where a second Ctrl-C ends the process at once.
  const removeNow = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeNow);
  releases.add(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', removeNow);
  });
  return folder;
}
