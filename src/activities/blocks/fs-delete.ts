import type { JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';
import { blobNotFound } from './fs-not-found';

/** `with` of fs.delete, as its schema has checked it. */
interface FsDeleteArguments {
  readonly path: string;
  readonly ifMissing?: 'fail' | 'ignore';
}

/**
 * Deletes a blob. The step's key goes along, so that a retry knows whether its own step did it already; only a retry
 * asks, because a flow that was reset runs the step again under the same key, from its first attempt, and means it.
 *
 * @throws BLW_FS_NOT_FOUND unless `ifMissing: ignore`, BLW_FS_PATH, BLW_FS_IO
 */
export const fsDelete: BlockExecutor = async (args: JsonObject, { step, ports }: BlockContext) => {
  const { path, ifMissing = 'fail' } = args as unknown as FsDeleteArguments;
  const { tenant, idempotencyKey, attempt } = step;
  const deleted = await ports.blobs.delete(tenant, path, { idempotencyKey, isRetry: attempt > 1 });
  if (!deleted && ifMissing === 'fail') throw blobNotFound('fs.delete', path);
  return { path, deleted };
};
