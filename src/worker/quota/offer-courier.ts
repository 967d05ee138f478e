import type { Quotas } from '../policy/policy';
import type { Background } from './background';
import type { FlowAddress, LineKind, Offer } from './lines';
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
    },
  ) {}

  /** Tells flows that it is their turn; the tickets of those that have ended leave the line. */
  tell({ tenant, kind }: TenantLine, offers: readonly Offer[]): void {
    if (offers.length === 0) return;
    const { store, sender, background } = this.parts;
    const telling = sender.send(tenant, offers).then(async (tickets) => {
      if (tickets.length > 0) await this.leave({ tenant, kind, tickets });
    });
    background.follow(telling.catch((error: unknown) => store.warn(error)));
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
