import type { Payload } from '@temporalio/common';
import { claimedWorkflow, isClaim, originalPayload, readClaim } from '../../activities/payloads/claim';
import type { KeyRing } from '../../activities/payloads/key-ring';
import { payloadOfLost } from '../../activities/payloads/lost';
import type { PayloadStore } from '../../activities/payloads/payload-store';
import { isSealed, openPayload, sealedLabel, sealPayload } from '../../activities/payloads/sealed-payload';
import type { ErrorCode } from '../../dsl/error-codes';
import { FlowError, flowError } from '../../dsl/errors';
import type { CodecCaller } from './access';
import { callerDenied } from './refusal';

/** One request to a codec. */
export interface CodecCall {
  readonly namespace: string;
  /** That the address names; absent: of all tenants that the caller may use. */
  readonly tenant?: string | undefined;
  readonly caller: CodecCaller;
  /** Called for each payload that cannot be read, with a code and words that have nothing of it. */
  readonly onLost?: (lost: { readonly code: ErrorCode; readonly detail: string }) => void;
}

/**
 * Decrypts and encrypts payloads for people: for Temporal's UI and command line tool, which have no workflow id to tell. So what a
 * payload says of itself counts here: it is authenticated with all the rest, and whoever has the history can see it there.
 */
export class RemoteCodec {
  constructor(
    private readonly options: {
      readonly keys: KeyRing;
      /** Absent: claims on large payloads stay as they are. */
      readonly store?: PayloadStore | undefined;
      /** Of one answer; claims on more stay as they are. */
      readonly maxBytes: number;
    },
  ) {}

  /**
   * Payloads that cannot be read become values that say why, so that the rest of a history can be read; what is neither
   * encrypted nor a claim stays the same object. Throws {@link callerDenied}.
   */
  async decode(payloads: readonly Payload[], call: CodecCall): Promise<Payload[]> {
    const decoded: Payload[] = [];
    let bytes = 0;
    // One after the other: the sizes count together.
    for (const payload of payloads) {
      const next = await this.#decodeOne(payload, this.options.maxBytes - bytes, call);
      if (next !== payload) bytes += next.data?.length ?? 0;
      decoded.push(next);
    }
    return decoded;
  }

  /** Good for every workflow of the tenant, since none is known. Throws {@link callerDenied}, and BLW_PAYLOAD_KEY. */
  async encode(payloads: readonly Payload[], call: CodecCall & { readonly tenant: string }): Promise<Payload[]> {
    const { tenant, namespace } = call;
    if (!call.caller.mayUse(tenant)) throw callerDenied("the address names another tenant than the caller's");
    const key = this.options.keys.encrypting(tenant);
    if (key === undefined) throw flowError('BLW_PAYLOAD_KEY', `there is no key for the tenant "${tenant}"`);
    return await Promise.all(
      payloads.map((payload) => (isSealed(payload) ? payload : sealPayload(payload, key, { tenant, namespace }))),
    );
  }

  async #decodeOne(payload: Payload, maxBytes: number, call: CodecCall): Promise<Payload> {
    try {
      const whole = isClaim(payload) ? await this.#redeem(payload, maxBytes, call) : payload;
      return isSealed(whole) ? await this.#open(whole, call) : whole;
    } catch (error) {
      if (!(error instanceof FlowError)) throw error;
      const { code = 'BLW_PAYLOAD_DENIED', detail = code } = error.data;
      call.onLost?.({ code, detail });
      return payloadOfLost({ code, detail });
    }
  }

  async #redeem(payload: Payload, maxBytes: number, { namespace, caller }: CodecCall): Promise<Payload> {
    const { store } = this.options;
    const workflowId = store === undefined ? undefined : claimedWorkflow(payload);
    if (store === undefined || workflowId === undefined) return payload;
    const claim = readClaim(payload, { key: await store.key(), owner: { namespace, workflowId } });
    if (claim.size > maxBytes) return payload;
    const original = originalPayload(claim, await store.get(claim));
    // What is not encrypted does not say whose it is.
    if (!isSealed(original) && !caller.mayUse(undefined)) {
      throw callerDenied("a large payload is not encrypted, so that it is no tenant's");
    }
    return original;
  }

  async #open(payload: Payload, { namespace, tenant, caller }: CodecCall): Promise<Payload> {
    const label = sealedLabel(payload);
    if (tenant !== undefined && tenant !== label.tenant) {
      throw callerDenied('a payload is encrypted for another tenant than the address names');
    }
    if (!caller.mayUse(label.tenant)) throw callerDenied("a payload is encrypted for another tenant than the caller's");
    const key = this.options.keys.decrypting(label.tenant, label.keyId);
    if (key !== undefined) return await openPayload(payload, key, { ...label, namespace });
    throw flowError('BLW_PAYLOAD_KEY', `the key ${JSON.stringify(label.keyId.slice(0, 80))} is not here`);
  }
}
