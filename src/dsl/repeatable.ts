import { isIdempotentMethod } from './http-methods';
import type { JsonObject } from './json';
import { isRecordedBlock } from './recorded-blocks';

/**
 * True where an attempt whose outcome is not known may simply be made again: the block or the author says so, the block finds what the
 * attempt before did, or it is a request whose method says so.
 */
export function isRepeatable(
  { block, idempotent }: { readonly block: string; readonly idempotent: boolean },
  { method = 'GET' }: JsonObject,
): boolean {
  return idempotent || isRecordedBlock(block) || (block.startsWith('http.') && isIdempotentMethod(String(method)));
}
