import { FlowError } from '../../dsl/errors';
import { type BlockFailure, notRetryable } from '../block-failure';
import { fulfilled } from '../fulfilled';
import type { HeldFolder } from './blob-folder';
import { type BlobPlace, markOf } from './blob-layout';
import { readMark } from './blob-marks';
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

/**
 * What an earlier attempt of the same step has put; else the step's precondition is checked, and what there is will be replaced. `folder`: the
 * pointer's, held; undefined where there is none.
 */
export async function lookBefore(
  place: BlobPlace,
  { execution, ifMatch }: Pick<PutOptions, 'execution' | 'ifMatch'>,
  folder: HeldFolder | undefined,
): Promise<Before> {
  const mark = execution === undefined ? undefined : markOf(place, 'put', execution);
  const [pointer, kept] = await Promise.allSettled([
    folder === undefined ? null : readUnlessDamaged(place, folder),
    mark === undefined ? undefined : readMark(place, mark),
  ]);
  const current = fulfilled(pointer);
  const found = mark !== undefined && current?.writer === mark ? current : fulfilled(kept);
  if (found !== undefined) return { done: infoOf(found) };
  if (ifMatch === undefined) return { replaced: current };
  // One that is damaged fails here.
  const failure = precondition(
    place.path,
    ifMatch,
    current === undefined ? await readPointer(place, folder) : (current ?? undefined),
  );
  if (failure === undefined) return { replaced: current };
  // Without the lock, what an earlier attempt put may have been replaced between the two reads: its mark was there before that.
  const late = mark === undefined ? undefined : await readMark(place, mark);
  if (late === undefined) throw failure;
  return { done: infoOf(late) };
}

/** The failure of one that is not met. */
function precondition(path: string, ifMatch: string, current: BlobInfo | undefined): BlockFailure | undefined {
  const expected = ifMatch.toLowerCase();
  const actual = current?.sha256 ?? 'none';
  if (expected === actual) return undefined;
  const got = current === undefined ? 'it does not exist' : `its SHA-256 is ${actual}`;
  const wanted = expected === 'none' ? 'that it does not exist' : `SHA-256 ${expected}`;
  return notRetryable(
    'BLW_FS_PRECONDITION',
    `${blobSubject(path)}: ${got}, expected ${wanted}; nothing was written. Read it again and decide.`,
    { data: { expected, actual } },
  );
}

/** Null where there is no blob, undefined where its pointer is damaged, which a put mends. */
async function readUnlessDamaged(place: BlobPlace, folder: HeldFolder): Promise<StoredPointer | null | undefined> {
  try {
    return (await readPointer(place, folder)) ?? null;
  } catch (error) {
    if (error instanceof FlowError) return undefined;
    throw error;
  }
}
