import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type DecipherGCM,
  randomBytes,
} from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { INLINE_METADATA } from '../../dsl/inline-values';
import { notRetryable } from '../block-failure';
import type { EncryptionKey } from './key-ring';

/** What Temporal's own samples call an encrypted payload. Part of what histories replay on, as all of this form. */
const ENCODING = 'binary/encrypted';
const ENCODING_BYTES = Buffer.from(ENCODING);
const KEY_METADATA = 'encryption-key-id';
const TENANT_METADATA = 'beamline-tenant';
const WORKFLOW_METADATA = 'beamline-workflow';

const { Payload: PayloadMessage } = temporal.api.common.v1;

/**
 * The data of an encrypted payload: a byte for this form, 16 random bytes, 12 random bytes, what was encrypted, its tag. The key
 * of AES-256-GCM is HMAC-SHA-256 of the first random bytes with the tenant's key, another one for each payload: with random
 * nonces, NIST SP 800-38D allows 2^32 payloads a key, which a busy tenant reaches within months.
 */
const FORM = 1;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES;

/** Bytes that are encrypted at once, so that a large payload does not hold up the event loop. */
const SLICE_BYTES = 4 << 20;

/** Whose payload it is, and where it belongs; authenticated together with it. */
export interface PayloadPlace {
  readonly tenant: string;
  readonly namespace: string;
  /** Workflow id that it is good for; absent: for every workflow of the tenant. */
  readonly workflowId?: string | undefined;
}

/** What an encrypted payload says of itself: nothing of it is certain before it has been decrypted. */
export interface SealedLabel {
  readonly tenant: string;
  readonly keyId: string;
  readonly workflowId?: string | undefined;
}

/** True for a payload that is encrypted. */
export function isSealed({ metadata }: Payload): boolean {
  return metadata?.encoding != null && ENCODING_BYTES.equals(metadata.encoding);
}

/** Throws BLW_PAYLOAD_DENIED (not retryable) where there is none. */
export function sealedLabel({ metadata = {} }: Payload): SealedLabel {
  const tenant = textOf(metadata?.[TENANT_METADATA]);
  const keyId = textOf(metadata?.[KEY_METADATA]);
  if (tenant === undefined || keyId === undefined) throw denied('it does not say whose it is');
  return { tenant, keyId, workflowId: textOf(metadata?.[WORKFLOW_METADATA]) };
}

/** Encrypts a payload, its metadata included. A mark that it has to stay in the history goes along outside of it. */
export async function sealPayload(payload: Payload, key: EncryptionKey, place: PayloadPlace): Promise<Payload> {
  const { [INLINE_METADATA]: inline, ...inner } = payload.metadata ?? {};
  const head = Buffer.concat([Buffer.of(FORM), randomBytes(SALT_BYTES + NONCE_BYTES)]);
  const cipher = createCipheriv('aes-256-gcm', payloadKey(key, head), head.subarray(1 + SALT_BYTES));
  cipher.setAAD(additionalData(key.id, place));
  const plain = PayloadMessage.encode({ metadata: inner, data: payload.data ?? null }).finish();
  const sealed = await inSlices(cipher, plain);
  const { tenant, workflowId } = place;
  return {
    metadata: {
      encoding: Buffer.from(ENCODING),
      [KEY_METADATA]: Buffer.from(key.id),
      [TENANT_METADATA]: Buffer.from(tenant),
      ...(workflowId === undefined ? {} : { [WORKFLOW_METADATA]: Buffer.from(workflowId) }),
      ...(inline == null ? {} : { [INLINE_METADATA]: inline }),
    },
    data: Buffer.concat([head, ...sealed, cipher.getAuthTag()]),
  };
}

/** Throws BLW_PAYLOAD_DENIED (not retryable) where the payload is not one that was encrypted with this key for this place. */
export async function openPayload({ data }: Payload, key: EncryptionKey, place: PayloadPlace): Promise<Payload> {
  const bytes = Buffer.from(data ?? []);
  if (bytes.length < HEAD_BYTES + TAG_BYTES || bytes[0] !== FORM) throw denied('it has not the form of one');
  const head = bytes.subarray(0, HEAD_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', payloadKey(key, head), head.subarray(1 + SALT_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(additionalData(key.id, place));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const plain = await inSlices(decipher, bytes.subarray(HEAD_BYTES, bytes.length - TAG_BYTES));
    const { metadata, data: inner } = PayloadMessage.decode(Buffer.concat(plain));
    return { metadata, data: inner };
  } catch {
    throw denied('it was encrypted for another flow, tenant or namespace, or was changed');
  }
}

/** An error that another try meets again. */
export function denied(what: string) {
  return notRetryable('BLW_PAYLOAD_DENIED', `encrypted payload: ${what}; send the data itself`);
}

function payloadKey({ secret }: EncryptionKey, head: Buffer): Buffer {
  return createHmac('sha256', secret)
    .update('beamline payload key 1\0')
    .update(head.subarray(1, 1 + SALT_BYTES))
    .digest();
}

function additionalData(keyId: string, { tenant, namespace, workflowId }: PayloadPlace): Buffer {
  return Buffer.from(JSON.stringify(['beamline payload 1', namespace, tenant, workflowId ?? null, keyId]));
}

async function inSlices(cipher: CipherGCM | DecipherGCM, bytes: Uint8Array): Promise<Buffer[]> {
  const done: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
    if (start > 0) await nextTurn();
    done.push(cipher.update(bytes.subarray(start, start + SLICE_BYTES)));
  }
  done.push(cipher.final());
  return done;
}

function textOf(bytes: Uint8Array | null | undefined): string | undefined {
  return bytes == null ? undefined : Buffer.from(bytes).toString('utf8');
}
