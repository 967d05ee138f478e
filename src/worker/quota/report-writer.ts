import { within } from '../../activities/within';
import type { Logger } from '../logger';
import type { Rule } from '../state/rule';
import { isOutOfReach, StateStoreUnavailable } from '../state/state-store';
import { UsageBacklog } from '../usage/usage-backlog';
import type { Background } from './background';
import type { Offer } from './lines';
import type { OfferCourier, TenantLine } from './offer-courier';
import { type StoreAccess, textOf } from './store-access';

/** How long who reports waits for the store. */
const PATIENCE_MS = 2_000;

/** What the store has to be told, sooner or later. */
export interface Report extends TenantLine {
  /** Says who is next in the line then. */
  readonly rule: () => Rule<readonly Offer[]>;
}

/** Writes what must not be lost: now, or once the store is back. */
export class ReportWriter {
  readonly #backlog: UsageBacklog<Report>;

  constructor(
    private readonly parts: {
      readonly store: StoreAccess;
      readonly courier: OfferCourier;
      readonly background: Background;
      readonly logger: Logger;
    },
  ) {
    this.#backlog = new UsageBacklog((dropped) =>
      parts.logger.log('error', 'usage was dropped: the state store has been out of reach for too long', { dropped }),
    );
  }

  /** Fulfilled once it is written, or kept for later. Never throws. */
  async report(report: Report): Promise<void> {
    const { store, background } = this.parts;
    if (store.isOut) return this.#backlog.add(report);
    const writing = this.#write(report).catch((error: unknown) => this.#keep(report, error));
    background.follow(writing);
    await within(PATIENCE_MS, writing).catch((error: unknown) => store.warn(error));
  }

  /** Writes what was kept, for so long at most. Throws where the store is out of reach. */
  async flush(limitMs: number): Promise<void> {
    const write = async (report: Report): Promise<void> => {
      try {
        await this.#write(report);
      } catch (error) {
        if (isOutOfReach(error)) throw error;
        this.#keep(report, error);
      }
    };
    await this.#backlog.flush(write, limitMs);
  }

  /** The same, for the last time: what is left is lost. Never throws. */
  async close(limitMs: number): Promise<void> {
    await this.flush(limitMs).catch((error: unknown) => this.parts.store.warn(error));
    const { size } = this.#backlog;
    if (size > 0) this.parts.logger.log('error', 'usage was not written before the worker stopped', { dropped: size });
  }

  async #write(report: Report): Promise<void> {
    const { store, courier } = this.parts;
    const { tenant, rule } = report;
    courier.tell(report, await store.run(rule, { tenant }));
  }

  /** What the store will never take is dropped: it would keep all else from being written. */
  #keep(report: Report, error: unknown): void {
    if (!(error instanceof StateStoreUnavailable)) {
      const { tenant } = report;
      this.parts.logger.log('error', 'usage was dropped: the state store cannot take it', {
        tenant,
        error: textOf(error),
      });
      return;
    }
    this.parts.store.warn(error);
    this.#backlog.add(report);
  }
}
