import type { JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';
import { blobNotFound } from './fs-not-found';

/** `with` of fs.delete, as its schema has checked it. */
interface FsDeleteArguments {
  readonly path: string;
  readonly ifMissing?: 'fail' | 'ignore';
}

/**
 * Deletes a blob. What the step's attempts have in common goes along, so that one knows whether another did it already. A flow
 * that was reset runs the step anew, and means it: where a flow from before names nothing but its key, only a retry asks.
 *
 * @throws BLW_FS_NOT_FOUND unless `ifMissing: ignore`, BLW_FS_PATH, BLW_FS_IO
 */
export const fsDelete: BlockExecutor = async (args: JsonObject, { step, ports, fence }: BlockContext) => {
  const { path, ifMissing = 'fail' } = args as unknown as FsDeleteArguments;
  const { tenant, idempotencyKey, execution = idempotencyKey, attempt } = step;
  const isRetry = step.execution !== undefined || attempt > 1;
  const deleted = await ports.blobs.delete(tenant, path, { idempotencyKey: execution, isRetry, fence });
  if (!deleted && ifMissing === 'fail') throw blobNotFound('fs.delete', path);
  return { path, deleted };
};
