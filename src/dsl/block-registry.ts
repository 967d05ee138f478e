import type { BlockSpec } from './block-spec';
import { fsDelete, fsGet, fsList, fsPut, fsStat } from './blocks/fs';
import { httpRequest } from './blocks/http-request';
import { httpStream } from './blocks/http-stream';
import { humanApproval } from './blocks/human-approval';
import { openapi } from './blocks/openapi';
import { scriptRun } from './blocks/script';
import { sqlExecute, sqlQuery, sqlTransaction } from './blocks/sql';

/** Every block there is, in the order of the documentation. A new block is one line here. */
export const BLOCK_SPECS: readonly BlockSpec[] = [
  httpRequest,
  httpStream,
  openapi,
  fsPut,
  fsGet,
  fsList,
  fsStat,
  fsDelete,
  sqlQuery,
  sqlExecute,
  sqlTransaction,
  scriptRun,
  humanApproval,
];

const BY_CALL: ReadonlyMap<string, BlockSpec> = new Map(BLOCK_SPECS.map((spec) => [spec.call, spec]));

/** The block that `call: <name>` names, if there is one. */
export function findBlockByCall(name: string): BlockSpec | undefined {
  return BY_CALL.get(name);
}
