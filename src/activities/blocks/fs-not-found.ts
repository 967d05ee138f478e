import { type BlockFailure, notRetryable } from '../block-failure';

/** BLW_FS_NOT_FOUND, not retryable: the block met a path without a blob. */
export function blobNotFound(block: string, path: string): BlockFailure {
  const advice = block === 'fs.get' ? 'Check the path' : 'Check the path, or set ifMissing: ignore';
  return notRetryable(
    'BLW_FS_NOT_FOUND',
    `${block}, blob ${JSON.stringify(path)}: there is none; expected a blob of this tenant. ${advice}.`,
  );
}
