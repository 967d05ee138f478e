import { link, lstat, readdir, realpath, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, removeFile } from '../ports/blob-io';
import { objectFile } from './payload-store';

/** Leftovers of interrupted writes are removed after a day, whatever the retention: no write takes that long. */
const TEMPORARY_MS = 86_400_000;

/** Ends the names of contents that a sweep has moved aside. */
const ASIDE = '.old';

/** What a sweep removed. */
export interface SweepResult {
  readonly removed: number;
  readonly freedBytes: number;
}

/**
 * Removes contents that were neither written nor read for `retentionMs`, and what interrupted writes left; without
 * `retentionMs` only the latter. Whether a flow still needs a content is not known here: the retention has to be longer
 * than any flow together with the time that Temporal keeps it.
 *
 * A content that is used again at this very moment stays: it is first moved aside, and moved back where its age turns out
 * to have started anew; who looks for it meanwhile looks again (payload-store.ts).
 */
export async function sweepPayloads(
  folder: string,
  { retentionMs }: { retentionMs: number | undefined },
): Promise<SweepResult> {
  const root = await realpath(folder);
  const sweep: Sweep = { root, retentionMs, total: { removed: 0, freedBytes: 0 } };
  for (const name of await list(join(root, 'temporary'))) {
    // What a sweep had moved aside when it was ended; it may be in use.
    if (name.endsWith(ASIDE)) await settle(sweep, name.slice(0, -ASIDE.length));
    else await removeOld(sweep, join(root, 'temporary', name), TEMPORARY_MS);
  }
  if (retentionMs !== undefined) await sweepObjects(sweep, retentionMs);
  return sweep.total;
}

interface Sweep {
  readonly root: string;
  readonly retentionMs: number | undefined;
  readonly total: { removed: number; freedBytes: number };
}

async function sweepObjects(sweep: Sweep, retentionMs: number): Promise<void> {
  const objects = join(sweep.root, 'objects');
  for (const part of await list(objects)) {
    for (const sha256 of await list(join(objects, part))) {
      const file = join(objects, part, sha256);
      if ((await sizeIfOld(file, retentionMs)) === undefined) continue;
      await ignoring(['ENOENT'], rename(file, asideOf(sweep, sha256)));
      await settle(sweep, sha256);
    }
  }
}

/** Removes a content that was moved aside where it is old, else moves it back. */
async function settle(sweep: Sweep, sha256: string): Promise<void> {
  const aside = asideOf(sweep, sha256);
  const isGone = sweep.retentionMs !== undefined && (await removeOld(sweep, aside, sweep.retentionMs));
  if (isGone) return;
  // EEXIST: written anew meanwhile. ENOENT: another worker's sweep was faster.
  await ignoring(['EEXIST', 'ENOENT'], link(aside, objectFile(sweep.root, sha256)));
  await removeFile(aside);
}

function asideOf({ root }: Sweep, sha256: string): string {
  return join(root, 'temporary', `${sha256}${ASIDE}`);
}

async function ignoring(codes: readonly string[], work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasCode(error, ...codes)) throw error;
  }
}

/** True where the file was old, and is gone. */
async function removeOld({ total }: Sweep, file: string, ageMs: number): Promise<boolean> {
  const size = await sizeIfOld(file, ageMs);
  if (size === undefined) return false;
  if (await removeFile(file)) {
    total.removed += 1;
    total.freedBytes += size;
  }
  return true;
}

async function sizeIfOld(file: string, ageMs: number): Promise<number | undefined> {
  try {
    const { mtimeMs, size } = await lstat(file);
    return mtimeMs < Date.now() - ageMs ? size : undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
