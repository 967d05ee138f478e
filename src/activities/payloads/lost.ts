import type { Payload } from '@temporalio/common';
import { lostPayload } from '../../dsl/undecodable';

/** A payload in the place of one that cannot be read, which says why: throwing would fail a workflow task again and again. */
export function payloadOfLost(why: Parameters<typeof lostPayload>[0]): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(lostPayload(why))) };
}
