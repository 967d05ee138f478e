import type { Payload, PayloadConverter } from '@temporalio/common';
import { OWNER_METADATA } from '../dsl/payload-owner';
import { lostPayload } from '../dsl/undecodable';
import { payloadOwner, refuseSealed } from './flow-owner';
import { payloadConverter as readableConverter } from './payload-converter';

const utf8 = new TextDecoder();

/**
 * The converter in workflows: what leaves one is marked with its tenant, whose key the codec around it encrypts with. A
 * payload that was encrypted for another tenant is read as one that is lost, since it was put there by somebody else.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => withOwner(readableConverter.toPayload(value)),
  fromPayload: <T>(payload: Payload): T => {
    const owner = payload.metadata?.[OWNER_METADATA];
    const refused = owner == null ? undefined : refuseSealed(utf8.decode(owner));
    if (refused !== undefined) return lostPayload({ code: 'BLW_PAYLOAD_DENIED', detail: refused }) as T;
    return readableConverter.fromPayload<T>(payload);
  },
};

let encoded: { readonly owner: string; readonly bytes: Uint8Array } | undefined;

/** The payload with the workflow's tenant, for the codec. */
export function withOwner(payload: Payload): Payload {
  const owner = payloadOwner();
  if (owner === undefined) return payload;
  if (encoded?.owner !== owner) encoded = { owner, bytes: new TextEncoder().encode(owner) };
  return { ...payload, metadata: { ...payload.metadata, [OWNER_METADATA]: encoded.bytes } };
}
