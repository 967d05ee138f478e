import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReleaseStack } from './release-stack';

/** Makes a folder of this command's own below that for temporary files; it is removed with the stack, or where the process ends before. */
export async function makeScratchFolder(name: string, releases: ReleaseStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `beamline-${name}-`));
  // Also where a second Ctrl-C ends the process at once.
  const removeNow = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeNow);
  releases.add(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    process.off('exit', removeNow);
  });
  return folder;
}
