import { randomUUID } from 'node:crypto';
import type { BlobSpace, SpaceAnswer, SpaceChange } from '../../activities/ports/blob-space';
import type { Quotas } from '../policy/policy';
import type { Rule } from '../state/rule';
import { type RunOptions, StateStoreUnavailable } from '../state/state-store';
import type { Offer } from './lines';
import { beginChange, endChange, endCount, extendChange, forgetSpace, renewChanges } from './space-rules';

/** How the keeper of quotas deals with the store. */
export interface SpaceParts {
  readonly quotasOf: (tenant: string) => Quotas;
  run<T>(rule: () => Rule<T>, options?: RunOptions): Promise<T>;
  /** Writes now, or once the store is back; tells who may go on then. Never throws. */
  report(tenant: string, rule: () => Rule<readonly Offer[]>): Promise<void>;
}

/** Keeps account of blobs in the state store, for this worker and its processes. */
export class SpaceKeeper implements BlobSpace {
  /** Changes of this worker, which have to be renewed while they last. */
  readonly #open = new Map<string, SpaceChange>();

  constructor(private readonly parts: SpaceParts) {}

  async begin({ tenant, bytes }: { readonly tenant: string; readonly bytes: number }): Promise<SpaceAnswer> {
    const id = randomUUID();
    const quotas = this.parts.quotasOf(tenant);
    try {
      const answer = await this.parts.run(() => beginChange({ tenant, id, bytes }, quotas), { tenant });
      if (answer.kind === 'granted' || answer.kind === 'count') this.#open.set(id, { tenant, id });
      return answer;
    } catch (error) {
      if (!(error instanceof StateStoreUnavailable)) throw error;
      // Nobody waits for a store that he does not need; the account is taken anew at its end.
      return quotas.blobBytes === undefined ? { kind: 'granted', id, isLimited: false } : { kind: 'full' };
    }
  }

  async extend(change: SpaceChange & { readonly bytes: number }): Promise<{ isGranted: boolean; limit?: number }> {
    const { tenant } = change;
    try {
      return await this.parts.run(() => extendChange(change, this.parts.quotasOf(tenant)), { tenant });
    } catch (error) {
      if (error instanceof StateStoreUnavailable) return { isGranted: false };
      throw error;
    }
  }

  async end({ tenant, id, delta }: SpaceChange & { readonly delta: number | null }): Promise<void> {
    const isKnown = this.#open.delete(id);
    const { report, quotasOf } = this.parts;
    await report(tenant, () =>
      isKnown && delta !== null ? endChange({ tenant, id, delta }, quotasOf(tenant)) : forgetSpace(tenant, id),
    );
  }

  async counted({ tenant, id, bytes }: SpaceChange & { readonly bytes: number }): Promise<void> {
    this.#open.delete(id);
    await this.parts.report(tenant, () => endCount({ tenant, id, bytes }, this.parts.quotasOf(tenant)));
  }

  /** It expires, and the blobs are counted anew then. */
  async lose({ id }: SpaceChange): Promise<void> {
    this.#open.delete(id);
  }

  /** Those whose changes have to be renewed. */
  tenants(): ReadonlySet<string> {
    return new Set([...this.#open.values()].map(({ tenant }) => tenant));
  }

  /** Makes a tenant's changes last on. Throws where the store does not answer. */
  async renew(tenant: string): Promise<void> {
    const changes = [...this.#open.values()].filter((change) => change.tenant === tenant);
    if (changes.length > 0) await this.parts.run(() => renewChanges(changes), { tenant });
  }
}
