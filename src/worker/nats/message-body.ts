import { temporal } from '@temporalio/proto';
import type { KeyRing } from '../../activities/payloads/key-ring';
import { openPayload, sealedLabel, sealPayload } from '../../activities/payloads/sealed-payload';

const { Payload } = temporal.api.common.v1;
const SEALED = 'sealed:';

/** No namespace of Temporal's: what is sealed for the outbox is good nowhere else. Workers of several may share a state store. */
const NAMESPACE = '/outbox';

/** Writes and reads bodies of messages that wait: encrypted where the tenant has a key, as its payloads are elsewhere. */
export class MessageBodies {
  constructor(private readonly keys: KeyRing) {}

  async seal(tenant: string, json: string): Promise<string> {
    const key = this.keys.encrypting(tenant);
    if (key === undefined) return json;
    const sealed = await sealPayload({ data: Buffer.from(json) }, key, { tenant, namespace: NAMESPACE });
    return SEALED + Buffer.from(Payload.encode(sealed).finish()).toString('base64');
  }

  /** Throws where the worker has not the key, or the body is another tenant's. */
  async open(tenant: string, body: string): Promise<string> {
    if (!body.startsWith(SEALED)) return body;
    const payload = Payload.decode(Buffer.from(body.slice(SEALED.length), 'base64'));
    const { keyId } = sealedLabel(payload);
    const key = this.keys.decrypting(tenant, keyId);
    if (key === undefined) throw new Error(`this worker has no key "${keyId}" of the tenant`);
    const { data } = await openPayload(payload, key, { tenant, namespace: NAMESPACE });
    return Buffer.from(data ?? []).toString('utf8');
  }
}
