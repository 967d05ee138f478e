import type { JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';

/** `with` of fs.list, as its schema has checked it. */
interface FsListArguments {
  readonly prefix?: string;
  readonly limit?: number;
  readonly after?: string;
}

/**
 * Lists the tenant's blobs under a prefix, a page at a time.
 *
 * @throws BLW_FS_PATH where the prefix cannot begin a path, BLW_FS_IO
 */
export const fsList: BlockExecutor = async (args: JsonObject, { step, ports }: BlockContext) => {
  const { prefix = '', limit = 100, after } = args as FsListArguments;
  const page = { prefix, limit, ...(after === undefined ? {} : { after }) };
  const { entries, next } = await ports.blobs.list(step.tenant, page);
  const listed = entries.map(({ path, size, sha256, modifiedAt }) => ({
    path,
    size,
    sha256,
    modifiedAt: modifiedAt.toISOString(),
  }));
  return { entries: listed, ...(next === undefined ? {} : { next }) };
};
