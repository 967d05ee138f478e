import type { BlockExecutor } from './block';
import { fsDelete } from './blocks/fs-delete';
import { fsGet } from './blocks/fs-get';
import { fsList } from './blocks/fs-list';
import { fsPut } from './blocks/fs-put';
import { fsStat } from './blocks/fs-stat';
import { httpRequest } from './blocks/http-request';
import { httpStream } from './blocks/http-stream';
import { openapi } from './blocks/openapi';
import { sqlExecute } from './blocks/sql-execute';
import { sqlQuery } from './blocks/sql-query';
import { sqlTransaction } from './blocks/sql-transaction';

/** Every block that runs as an activity. A new block is one line here. */
const EXECUTORS: ReadonlyMap<string, BlockExecutor> = new Map([
  ['http.request', httpRequest],
  ['http.stream', httpStream],
  ['openapi.call', openapi],
  ['fs.put', fsPut],
  ['fs.get', fsGet],
  ['fs.list', fsList],
  ['fs.stat', fsStat],
  ['fs.delete', fsDelete],
  ['sql.query', sqlQuery],
  ['sql.execute', sqlExecute],
  ['sql.transaction', sqlTransaction],
]);

/** What runs a block of this type (`BlockSpec.type`), if there is one. */
export function findExecutor(blockType: string): BlockExecutor | undefined {
  return EXECUTORS.get(blockType);
}
