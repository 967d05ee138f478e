import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { notRetryable } from '../block-failure';
import type { ContentId } from './payload-store';
import type { StoreKey } from './store-key';

/** Encoding of a claim; part of what histories replay on. Its data is JSON, so that Temporal's UI shows it. */
export const CLAIM_ENCODING = 'beamline/claim-check';
const CLAIM_ENCODING_BYTES = Buffer.from(CLAIM_ENCODING);

/** Whose payload it is: a claim is good for one workflow id only. */
export interface ClaimOwner {
  readonly namespace: string;
  /** Empty for a payload that belongs to no workflow. */
  readonly workflowId: string;
}

/** What a claim says of the payload that it stands for. */
export interface Claim extends ContentId {
  /** Its metadata, without the encoding in base64 since it may be anything. */
  readonly encoding: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly store: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The payload that goes into history in place of a large one. */
export function claimPayload(
  payload: Payload,
  { id, key, owner }: { id: ContentId; key: StoreKey; owner: ClaimOwner },
): Payload {
  const { encoding, ...rest } = payload.metadata ?? {};
  const metadata = Object.fromEntries(
    Object.entries(rest).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  );
  const claim: Claim = { ...id, encoding: Buffer.from(encoding ?? []).toString('utf8'), metadata, store: key.storeId };
  const { metadata: extra, ...shown } = claim;
  const data = {
    ...shown,
    ...(Object.keys(extra).length === 0 ? {} : { metadata: extra }),
    // For who has nothing but the claim, as the codec server; the signature says whether it is true.
    workflow: owner.workflowId,
    signature: sign(claim, key, owner),
  };
  return { metadata: { encoding: Buffer.from(CLAIM_ENCODING) }, data: Buffer.from(JSON.stringify(data)) };
}

/** True for a payload that stands for another one. */
export function isClaim(payload: Payload): boolean {
  const encoding = payload.metadata?.encoding;
  return encoding != null && CLAIM_ENCODING_BYTES.equals(encoding);
}

/** The workflow id that a claim says it was made for; undefined where it says none, as older ones. */
export function claimedWorkflow(payload: Payload): string | undefined {
  const { workflow } = parse(payload);
  return typeof workflow === 'string' ? workflow : undefined;
}

/**
 * Reads and checks a claim. Throws BLW_PAYLOAD_DENIED where it is not one, was made by another store, or for another
 * workflow: a claim that somebody copied out of a history, or made up, gives access to nothing.
 */
export function readClaim(payload: Payload, { key, owner }: { key: StoreKey; owner: ClaimOwner }): Claim {
  const data = parse(payload);
  const { sha256, size, encoding, store, signature, metadata = {} } = data;
  if (
    typeof sha256 !== 'string' ||
    !/^[0-9a-f]{64}$/.test(sha256) ||
    typeof size !== 'number' ||
    !Number.isSafeInteger(size) ||
    typeof encoding !== 'string' ||
    typeof store !== 'string' ||
    typeof signature !== 'string' ||
    !isTexts(metadata)
  ) {
    throw denied('expected {"sha256", "size", "encoding", "store", "signature"}; send the data itself');
  }
  if (store !== key.storeId) {
    throw denied(
      `it names the payload store ${store.slice(0, 16)}, this is ${key.storeId}; use the blob root that the workers use (--blob-root)`,
    );
  }
  const claim: Claim = { sha256, size, encoding, store, metadata };
  if (!isSame(signature, sign(claim, key, owner))) {
    throw denied(`its signature is not that of this store for workflow "${owner.workflowId}"; send the data itself`);
  }
  return claim;
}

/** The payload that a claim stands for. */
export function originalPayload(claim: Claim, data: Uint8Array): Payload {
  const metadata: Record<string, Uint8Array> = { encoding: Buffer.from(claim.encoding) };
  for (const [name, value] of Object.entries(claim.metadata)) metadata[name] = Buffer.from(value, 'base64');
  return { metadata, data };
}

function sign({ sha256, size, encoding, metadata, store }: Claim, { secret }: StoreKey, owner: ClaimOwner): string {
  const pairs = Object.entries(metadata).sort(([left], [right]) => (left < right ? -1 : 1));
  const text = JSON.stringify(['v1', owner.namespace, owner.workflowId, sha256, size, encoding, pairs, store]);
  return createHmac('sha256', secret).update(text).digest('base64url');
}

function isSame(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function parse({ data }: Payload): JsonObject {
  let value: Json = null;
  try {
    value = JSON.parse(utf8.decode(data ?? new Uint8Array())) as Json;
  } catch (cause) {
    throw denied('it is not JSON; send the data itself', cause);
  }
  if (isJsonObject(value)) return value;
  throw denied('it is not a JSON object; send the data itself');
}

function isTexts(value: Json): value is Record<string, string> {
  return isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string');
}

function denied(what: string, cause?: unknown) {
  return notRetryable('BLW_PAYLOAD_DENIED', `claim on a large payload: ${what}`, cause === undefined ? {} : { cause });
}
