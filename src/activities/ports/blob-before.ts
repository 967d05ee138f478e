import { basename } from 'node:path';
import { FlowError } from '../../dsl/errors';
import { notRetryable } from '../block-failure';
import { inFolder } from './blob-folder';
import { type BlobPlace, markOf } from './blob-layout';
import { keepForWriter, readMark } from './blob-marks';
import { blobSubject, infoOf, readPointer, type StoredPointer } from './blob-pointer';
import type { BlobInfo, BlobStore } from './blob-store';

type PutOptions = NonNullable<Parameters<BlobStore['put']>[3]>;

/** What there is at a path where something is put. */
export interface Before {
  /** An earlier attempt did it. */
  readonly done?: BlobInfo;
  /** Null where there is no blob, undefined where its pointer is damaged. */
  readonly replaced?: StoredPointer | null | undefined;
}

/** What an earlier attempt of the same step has put; else the step's precondition is checked, and what there is will be replaced. */
export async function lookBefore(
  place: BlobPlace,
  { execution, ifMatch }: Pick<PutOptions, 'execution' | 'ifMatch'>,
): Promise<Before> {
  const current = await readUnlessDamaged(place);
  if (execution !== undefined) {
    const mark = markOf(place, 'put', execution);
    const found = current?.writer === mark ? current : await readMark(place, mark);
    if (found !== undefined) return { done: infoOf(found) };
  }
  // One that is damaged fails here.
  if (ifMatch !== undefined) {
    checkPrecondition(place.path, ifMatch, current === undefined ? await readPointer(place) : (current ?? undefined));
  }
  return { replaced: current };
}

function checkPrecondition(path: string, ifMatch: string, current: BlobInfo | undefined): void {
  const expected = ifMatch.toLowerCase();
  const actual = current?.sha256 ?? 'none';
  if (expected === actual) return;
  const got = current === undefined ? 'it does not exist' : `its SHA-256 is ${actual}`;
  const wanted = expected === 'none' ? 'that it does not exist' : `SHA-256 ${expected}`;
  throw notRetryable(
    'BLW_FS_PRECONDITION',
    `${blobSubject(path)}: ${got}, expected ${wanted}; nothing was written. Read it again and decide.`,
    { data: { expected, actual } },
  );
}

/** Null where there is no blob, undefined where its pointer is damaged, which a put mends. */
async function readUnlessDamaged(place: BlobPlace): Promise<StoredPointer | null | undefined> {
  try {
    return (await readPointer(place)) ?? null;
  } catch (error) {
    if (error instanceof FlowError) return undefined;
    throw error;
  }
}

/** Keeps what is about to be replaced for the attempts of the step that put it. Under the store's lock. */
export async function keepReplaced(place: BlobPlace, replaced: StoredPointer): Promise<void> {
  await inFolder(blobSubject(place.path), place.folder, (folder) =>
    keepForWriter(folder.at(basename(place.pointer)), replaced, place),
  );
}
