import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Quotas } from '../policy/policy';
import { DUTY_MS, leaveDuty, MIN_DUTY_LEFT_MS, takeDuty, tryWrite } from '../state/duties';
import { isOutOfReach } from '../state/state-store';
import { needsReview, surveyLines } from './line-survey';
import { MAX_OFFERS } from './lines';
import type { OfferCourier, TenantLine } from './offer-courier';
import { reviewLine } from './place-rules';
import { prune } from './prune';
import { reviewSpace } from './space-rules';
import type { StoreAccess } from './store-access';

/** Transactions that a review makes of a line at most: of 100 offers each, 1,000 steps a second are offered their times. */
const MAX_ROUNDS = 20;

/** In reviews. */
const PRUNE_EVERY = 30;

/** How long a worker that does not reach flows leaves the duty alone: time for any other to take it, who then keeps it. */
const REST_MS = DUTY_MS;

/**
 * Looks at the tenants' lines: for leases of dead workers, lapsed offers, ends of windows, changed quotas. One worker at a time does
 * it for all, and another when nothing is heard of that one. Two that do it at once, as after a standstill, do no harm.
 */
export class LineReviewer {
  #reviews = 0;
  #hasMoreToPrune = false;
  #hasDuty = false;
  /** By the store's clock, as the last review saw it. */
  #now = 0;
  #restsUntil = 0;

  constructor(
    private readonly parts: {
      readonly worker: string;
      readonly store: StoreAccess;
      readonly courier: OfferCourier;
      readonly quotasOf: (tenant: string) => Quotas;
    },
  ) {}

  /** Writes only where something is to be changed, or to find out whether the store is back. Throws where the store is out of reach. */
  async review(): Promise<void> {
    const { store, worker, quotasOf } = this.parts;
    if (store.isOut) await store.run(() => tryWrite(worker), { mayBeLost: true });
    const { now, isOthers, leftMs, lines } = await store.run(() => surveyLines(worker), { isReading: true });
    this.#now = now;
    if (isOthers || now < this.#restsUntil) return;
    // Where nobody waits there is no duty, and nothing is written at all.
    if (lines.length > 0 && leftMs < MIN_DUTY_LEFT_MS) {
      this.#hasDuty = await store.run(() => takeDuty('review', worker), { mayBeLost: true });
      if (!this.#hasDuty) return;
    }
    for (const line of lines) if (needsReview(line, quotasOf(line.tenant))) await this.#reviewLine(line);
    this.#reviews += 1;
    if (this.#hasMoreToPrune || this.#reviews % PRUNE_EVERY === 0) await this.#prune();
  }

  /** Leaves the duty to others for a while, where this worker reaches no flows. Never throws. */
  async rest(): Promise<void> {
    this.#restsUntil = this.#now + REST_MS;
    await this.close();
  }

  /** Leaves the duty to others. Never throws. */
  async close(): Promise<void> {
    const { store, worker } = this.parts;
    if (!this.#hasDuty || store.isOut) return;
    this.#hasDuty = false;
    await store.run(() => leaveDuty('review', worker)).catch((error: unknown) => store.warn(error));
  }

  /** Where it fails, by a row that somebody has locked, it is done at the next review. */
  async #prune(): Promise<void> {
    const { store } = this.parts;
    this.#hasMoreToPrune = true;
    try {
      this.#hasMoreToPrune = !(await prune((rule) => store.run(rule)));
    } catch (error) {
      if (isOutOfReach(error)) throw error;
      store.warn(error);
    }
  }

  /** One tenant's line may be out of order, or its row locked; the others go on. */
  async #reviewLine(line: TenantLine): Promise<void> {
    try {
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const offered = await this.#makeOffers(line);
        // Rules of SQLite run on this thread, one after the other without a pause.
        await nextTurn();
        if (offered < MAX_OFFERS) return;
      }
    } catch (error) {
      if (isOutOfReach(error)) throw error;
      this.parts.store.warn(error);
    }
  }

  /** How many it made. */
  async #makeOffers({ tenant, kind }: TenantLine): Promise<number> {
    const { store, courier, quotasOf } = this.parts;
    const quotas = quotasOf(tenant);
    const options = { tenant, mayBeLost: true };
    if (kind === 'space') {
      const offers = await store.run(() => reviewSpace(tenant, quotas), options);
      courier.tell({ tenant, kind }, offers);
      return offers.length;
    }
    const { offers, news } = await store.run(() => reviewLine(tenant, kind, quotas), options);
    courier.tell({ tenant, kind }, offers);
    if (news.length > 0) courier.inform(tenant, news);
    return offers.length;
  }
}
