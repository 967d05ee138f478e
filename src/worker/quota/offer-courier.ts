import type { Background } from '../background';
import type { Quotas } from '../policy/policy';
import { type FlowAddress, type LineKind, type Offer, withdrawOffers } from './lines';
import type { OfferSender } from './offer-sender';
import { leaveLine } from './place-rules';
import type { StoreAccess } from './store-access';

/** A tenant's line. */
export interface TenantLine {
  readonly tenant: string;
  readonly kind: LineKind;
}

/** Brings offers to flows in the background: the step that made room does not wait for it. */
export class OfferCourier {
  constructor(
    private readonly parts: {
      readonly store: StoreAccess;
      readonly quotasOf: (tenant: string) => Quotas;
      readonly sender: OfferSender;
      readonly background: Background;
      /** Told when the worker does not reach flows. */
      readonly onMissed: () => Promise<void>;
    },
  ) {}

  /**
   * Tells flows that it is their turn; the tickets of those that have ended leave the line. Those whom this worker does not reach go back
   * to their places: another worker looks at the line, and tells them.
   */
  tell({ tenant, kind }: TenantLine, offers: readonly Offer[]): void {
    if (offers.length === 0) return;
    const { store, background } = this.parts;
    background.follow(this.#deliver({ tenant, kind }, offers).catch((error: unknown) => store.warn(error)));
  }

  async #deliver({ tenant, kind }: TenantLine, offers: readonly Offer[]): Promise<void> {
    const { store, sender, onMissed } = this.parts;
    const { gone, missed } = await sender.send(tenant, offers);
    if (missed.length > 0) {
      await onMissed();
      await store.run(() => withdrawOffers(tenant, missed), { tenant });
    }
    if (gone.length > 0) await this.leave({ tenant, kind, tickets: gone });
  }

  /** Tells flows how many steps of their tenant may run at once now. */
  inform(tenant: string, flows: readonly FlowAddress[]): void {
    const { sender, background, quotasOf } = this.parts;
    background.follow(sender.inform(tenant, flows, quotasOf(tenant).concurrentSteps));
  }

  /** Takes tickets out of a line. */
  async leave(line: TenantLine & { readonly tickets: readonly string[] }): Promise<void> {
    const { store, quotasOf } = this.parts;
    const { tenant } = line;
    this.tell(line, await store.run(() => leaveLine(line, quotasOf(tenant)), { tenant }));
  }
}
