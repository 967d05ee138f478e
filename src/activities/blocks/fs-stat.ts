import type { JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';
import { blobNotFound } from './fs-not-found';

/** `with` of fs.stat, as its schema has checked it. */
interface FsStatArguments {
  readonly path: string;
  readonly ifMissing?: 'fail' | 'ignore';
}

/**
 * Tells a blob's size and hash, or that there is none.
 *
 * @throws BLW_FS_NOT_FOUND unless `ifMissing: ignore`, BLW_FS_PATH, BLW_FS_IO
 */
export const fsStat: BlockExecutor = async (args: JsonObject, { step, ports }: BlockContext) => {
  const { path, ifMissing = 'fail' } = args as unknown as FsStatArguments;
  const info = await ports.blobs.stat(step.tenant, path);
  if (info !== undefined) return { path, exists: true, size: info.size, sha256: info.sha256 };
  if (ifMissing === 'fail') throw blobNotFound('fs.stat', path);
  return { path, exists: false };
};
