import { ApplicationFailure, type Payload, type SerializationContext } from '@temporalio/common';
import { FlowError, flowErrorToJson } from '../../dsl/errors';
import { INLINE_METADATA } from '../../dsl/inline-values';
import { CLAIM_THRESHOLD_BYTES, MAX_INLINE_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES } from '../../dsl/step-request';
import { notRetryable } from '../block-failure';
import { type ClaimOwner, claimPayload, isClaim, originalPayload, readClaim } from './claim';
import type { ChainedCodec } from './codec-chain';
import { payloadOfLost } from './lost';
import type { PayloadStore } from './payload-store';

/**
 * Who reads and writes payloads.
 *
 * - `client`: all errors are thrown at the caller; at most 100 MiB are sent.
 * - `worker`: an error that stays becomes a value that says so (undecodable.ts), since throwing would fail the workflow task
 *   again and again; one that passes is thrown, and Temporal tries the task again. What is sent has been checked before.
 * - `replay`: reads like a worker and writes nothing: what a replay sends goes nowhere.
 */
export type CodecRole = 'client' | 'worker' | 'replay';

/** Errors that another try meets again. */
const LASTING: ReadonlySet<string> = new Set(['BLW_PAYLOAD_MISSING', 'BLW_PAYLOAD_DAMAGED', 'BLW_PAYLOAD_DENIED']);

/**
 * Puts large payloads into the payload store and claims in their place, and back (the pattern "claim check"). Temporal's SDK
 * runs it outside of the workflow isolate. Errors are FlowErrors with a BLW_PAYLOAD_ code for clients, and
 * ApplicationFailures of that type on workers.
 */
export class ClaimCodec implements ChainedCodec {
  constructor(
    private readonly options: {
      readonly store: PayloadStore;
      readonly namespace: string;
      readonly role: CodecRole;
    },
  ) {}

  async encode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (this.passesEncoding(payloads)) return payloads;
    return await Promise.all(
      payloads.map((payload) =>
        isLarge(payload) ? this.#deposit(withoutMark(payload), this.#owner(context)) : withoutMark(payload),
      ),
    );
  }

  async decode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (this.passesDecoding(payloads)) return payloads;
    return await Promise.all(
      payloads.map((payload) => (isClaim(payload) ? this.#redeem(payload, this.#owner(context)) : payload)),
    );
  }

  passesEncoding(payloads: readonly Payload[]): boolean {
    return this.options.role === 'replay' || !payloads.some((payload) => isLarge(payload) || isMarked(payload));
  }

  passesDecoding(payloads: readonly Payload[]): boolean {
    return !payloads.some(isClaim);
  }

  async #deposit(payload: Payload, owner: ClaimOwner): Promise<Payload> {
    const { store, role } = this.options;
    const data = payload.data ?? new Uint8Array();
    if (role === 'client' && data.length > MAX_PAYLOAD_BYTES) {
      throw notRetryable(
        'BLW_PAYLOAD_TOO_LARGE',
        `got ${data.length} bytes, at most ${MAX_PAYLOAD_BYTES} fit; put the data where the flow can fetch it (http.stream) and pass its place`,
      );
    }
    try {
      return claimPayload(payload, { id: await store.put(data), key: await store.key(), owner });
    } catch (error) {
      // What Temporal takes as it is need not fail: an error with large data, above all, whose loss would stop a worker.
      if (role === 'worker' && data.length <= MAX_INLINE_PAYLOAD_BYTES) return payload;
      throw this.#asThrown(error);
    }
  }

  async #redeem(payload: Payload, owner: ClaimOwner): Promise<Payload> {
    const { store, role } = this.options;
    try {
      const claim = readClaim(payload, { key: await store.key(), owner });
      return originalPayload(claim, await store.get(claim));
    } catch (error) {
      const code = error instanceof FlowError ? error.data.code : undefined;
      if (role === 'client' || code === undefined || !LASTING.has(code)) throw this.#asThrown(error);
      return payloadOfLost({ code, detail: (error as FlowError).data.detail ?? code });
    }
  }

  #owner(context: SerializationContext | undefined): ClaimOwner {
    return { namespace: this.options.namespace, workflowId: context?.workflowId ?? '' };
  }

  /** A step whose result cannot be kept is not run again: it has taken effect. */
  #asThrown(error: unknown): unknown {
    if (this.options.role === 'client' || !(error instanceof FlowError)) return error;
    const { data } = error;
    return ApplicationFailure.create({
      message: data.detail ?? data.title ?? data.type,
      type: data.code ?? data.type,
      nonRetryable: true,
      details: [flowErrorToJson(data)],
    });
  }
}

function isLarge(payload: Payload): boolean {
  const threshold = isMarked(payload) ? MAX_INLINE_PAYLOAD_BYTES : CLAIM_THRESHOLD_BYTES;
  return payload.data != null && payload.data.length > threshold;
}

function isMarked({ metadata }: Payload): boolean {
  return metadata?.[INLINE_METADATA] != null;
}

/** The mark is for this codec: with metadata that it does not know, the Temporal CLI shows a payload as base64. */
function withoutMark(payload: Payload): Payload {
  const { [INLINE_METADATA]: mark, ...metadata } = payload.metadata ?? {};
  return mark == null ? payload : { ...payload, metadata };
}
