import { ApplicationFailure, type Payload, type SerializationContext } from '@temporalio/common';
import { FlowError, flowErrorToJson } from '../../dsl/errors';
import { CONTEXT_OWNER, contextOwner, OWNER_METADATA } from '../../dsl/payload-owner';
import { retryable } from '../block-failure';
import type { CodecRole } from './claim-codec';
import type { ChainedCodec } from './codec-chain';
import type { EncryptionKey, KeyRing } from './key-ring';
import { payloadOfLost } from './lost';
import { denied, isSealed, openPayload, type SealedLabel, sealedLabel, sealPayload } from './sealed-payload';

/** What a codec needs to know. */
export interface EncryptionOptions {
  readonly keys: KeyRing;
  readonly namespace: string;
  readonly role: CodecRole;
  /** Of a client: whose payloads it sends. */
  readonly tenant?: string | undefined;
  /** Of a client without a tenant: asks for that of a workflow to which it sends. */
  readonly findTenant?: ((workflowId: string) => Promise<string | undefined>) | undefined;
  /** False: what is sent is good for every workflow of the tenant, since the id is not known yet. Default: true. */
  readonly isBound?: boolean | undefined;
}

/** Activities whose tenant is remembered for their heartbeats. */
const MAX_REMEMBERED = 10_000;

/**
 * Encrypts the payloads of tenants that have a key (sealed-payload.ts), and decrypts those for which there is one. All others pass
 * as they are. Before the claim codec, so that the payload store has what is encrypted.
 *
 * Whose a payload is: in workflows their converter marks it (owned-payload-converter.ts); in activities it is the tenant of their
 * arguments; a client knows it. On decoding the tenant is what the payload says, which is authenticated. Roles are as those of
 * the claim codec; a key that is missing is thrown on workers too, since it may come: Temporal tries the task again.
 */
export class EncryptionCodec implements ChainedCodec {
  /** By workflow and activity id: heartbeats have a context of their own. A run that has ended records none any more. */
  readonly #activities = new Map<string, string>();

  constructor(private readonly options: EncryptionOptions) {}

  async encode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (this.#encryptsNothing) return payloads.map(withoutOwner);
    const fallback = await this.#ownerOf(context);
    return await Promise.all(payloads.map((payload) => this.#encodeOne(payload, fallback, context)));
  }

  async decode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    if (!payloads.some(isSealed)) {
      const [first] = payloads;
      if (this.#isOfTask(context) && first !== undefined) this.#remember(context, statedTenant(first));
      return payloads.map(withoutOwner);
    }
    return await Promise.all(
      payloads.map((payload) => (isSealed(payload) ? this.#open(payload, context) : withoutOwner(payload))),
    );
  }

  passesEncoding(payloads: readonly Payload[]): boolean {
    return this.#encryptsNothing && !payloads.some(hasOwner);
  }

  passesDecoding(payloads: readonly Payload[], context?: SerializationContext): boolean {
    return !this.#isOfTask(context) && !payloads.some((payload) => isSealed(payload) || hasOwner(payload));
  }

  get #encryptsNothing(): boolean {
    return this.options.keys.isEmpty || this.options.role === 'replay';
  }

  /** True where whose the payloads are may have to be remembered. */
  #isOfTask(context: SerializationContext | undefined): context is SerializationContext {
    return context?.type === 'activity' && !this.options.keys.isEmpty;
  }

  async #encodeOne(
    payload: Payload,
    fallback: string | undefined,
    context: SerializationContext | undefined,
  ): Promise<Payload> {
    const tenant = markOf(payload) ?? fallback ?? (context?.type === 'activity' ? statedTenant(payload) : undefined);
    const plain = withoutOwner(payload);
    const key = tenant === undefined || isSealed(plain) ? undefined : this.options.keys.encrypting(tenant);
    if (tenant === undefined || key === undefined) return plain;
    const { namespace, isBound = true } = this.options;
    const workflowId = isBound ? context?.workflowId : undefined;
    return await sealPayload(plain, key, { tenant, namespace, workflowId });
  }

  async #ownerOf(context: SerializationContext | undefined): Promise<string | undefined> {
    const { tenant, findTenant } = this.options;
    const known = tenant ?? contextOwner(context) ?? this.#activities.get(activityOf(context));
    if (known !== undefined || findTenant === undefined || context?.workflowId === undefined) return known;
    return await findTenant(context.workflowId);
  }

  async #open(payload: Payload, context: SerializationContext | undefined): Promise<Payload> {
    const { role } = this.options;
    try {
      const label = sealedLabel(payload);
      const opened = await openPayload(payload, this.#keyOf(label), this.#place(label, context));
      if (role === 'client') return opened;
      if (context?.type === 'activity') this.#remember(context, label.tenant);
      return { ...opened, metadata: { ...opened.metadata, [OWNER_METADATA]: Buffer.from(label.tenant) } };
    } catch (error) {
      if (role === 'client' || !(error instanceof FlowError)) throw error;
      const { code = 'BLW_PAYLOAD_DENIED', detail = code } = error.data;
      if (code !== 'BLW_PAYLOAD_DENIED') throw asThrown(error);
      return payloadOfLost({ code, detail });
    }
  }

  /** Where the payload has to belong: what it says counts only where nothing else is known. */
  #place({ tenant, workflowId }: SealedLabel, context: SerializationContext | undefined) {
    const expected = contextOwner(context);
    if (expected !== undefined && expected !== tenant) throw denied('it was encrypted for another tenant');
    const known = context?.workflowId;
    if (workflowId !== undefined && known !== undefined && workflowId !== known) {
      throw denied('it was encrypted for another flow');
    }
    return { tenant, namespace: this.options.namespace, workflowId };
  }

  #keyOf({ tenant, keyId }: SealedLabel): EncryptionKey {
    const key = this.options.keys.decrypting(tenant, keyId);
    if (key !== undefined) return key;
    throw retryable(
      'BLW_PAYLOAD_KEY',
      `a payload of the tenant ${JSON.stringify(tenant.slice(0, 80))} is encrypted with the key ${JSON.stringify(keyId.slice(0, 80))}, which is not here; give it with --encryption-keys FILE`,
    );
  }

  /** The first one counts: an activity's arguments are read before it does anything. */
  #remember(context: SerializationContext, tenant: string | undefined): void {
    if (contextOwner(context) !== undefined) return;
    const activity = activityOf(context);
    this.#activities.delete(activity);
    if (tenant === undefined || this.options.keys.encrypting(tenant) === undefined) return;
    Object.defineProperty(context, CONTEXT_OWNER, { value: tenant });
    const [oldest] = this.#activities.keys();
    if (this.#activities.size >= MAX_REMEMBERED && oldest !== undefined) this.#activities.delete(oldest);
    this.#activities.set(activity, tenant);
  }
}

function activityOf(context: SerializationContext | undefined): string {
  return context?.type === 'activity' ? JSON.stringify([context.workflowId, context.activityId]) : '';
}

/**
 * The tenant of a step's arguments that came as they are, from a worker that had no key yet: a step's request begins with it
 * (step-request.ts). Likewise of the plan of a flow, which begins with it, where a token has just said whose the flow is.
 */
function statedTenant({ data }: Payload): string | undefined {
  const start = Buffer.from((data ?? new Uint8Array()).slice(0, 100)).toString('latin1');
  return /^\{"tenant":"([A-Za-z0-9][A-Za-z0-9._-]{0,62})"/.exec(start)?.[1];
}

function markOf({ metadata }: Payload): string | undefined {
  const mark = metadata?.[OWNER_METADATA];
  return mark == null ? undefined : Buffer.from(mark).toString('utf8');
}

function hasOwner({ metadata }: Payload): boolean {
  return metadata?.[OWNER_METADATA] != null;
}

function withoutOwner(payload: Payload): Payload {
  if (!hasOwner(payload)) return payload;
  const { [OWNER_METADATA]: _, ...metadata } = payload.metadata ?? {};
  return { ...payload, metadata };
}

function asThrown({ data }: FlowError): ApplicationFailure {
  return ApplicationFailure.create({
    message: `${data.detail ?? data.title} [${data.code}]`,
    type: data.code ?? data.type,
    nonRetryable: false,
    details: [flowErrorToJson(data)],
  });
}
