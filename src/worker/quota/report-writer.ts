import { within } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import type { Background } from '../background';
import type { Logger } from '../logger';
import type { Rule } from '../state/rule';
import { isOutOfReach, StateStoreUnavailable } from '../state/state-store';
import type { Offer } from './lines';
import type { OfferCourier, TenantLine } from './offer-courier';
import { ReportBacklog, type Unwritten } from './report-backlog';
import { STORE_PATIENCE_MS, type StoreAccess } from './store-access';

/** What the store has to be told, sooner or later. */
export interface Report extends TenantLine {
  /**
   * Says who is next in the line then. `isRepeat`: the store has been told before, and may have done it: its answer was lost.
   */
  readonly rule: (isRepeat: boolean) => Rule<readonly Offer[]>;
}

/** A report that waits for the store. */
interface KeptReport {
  readonly tenant: string;
  readonly report: Report;
  readonly isRepeat: boolean;
}

/** Writes what must not be lost: now, or once the store is back. */
export class ReportWriter {
  readonly #backlog: ReportBacklog<KeptReport>;

  constructor(
    private readonly parts: {
      readonly store: StoreAccess;
      readonly courier: OfferCourier;
      readonly background: Background;
      readonly logger: Logger;
    },
  ) {
    this.#backlog = new ReportBacklog((dropped) =>
      parts.logger.log('error', 'reports were dropped: the state store has been out of reach for too long', {
        dropped,
      }),
    );
  }

  /** Fulfilled once it is written, or kept for later, or has taken so long: then it goes on. Never throws. */
  async report(report: Report, patienceMs = STORE_PATIENCE_MS): Promise<void> {
    const { store, background } = this.parts;
    const entry = { tenant: report.tenant, report, isRepeat: false };
    if (store.isOut) return this.#backlog.add(entry);
    const writing = this.#write(entry).then((unwritten) => {
      if (unwritten !== undefined) this.#backlog.add(unwritten.entry);
    });
    background.follow(writing);
    await within(patienceMs, writing).catch((error: unknown) => store.warn(error));
  }

  /** Writes what was kept, for so long at most. Never throws. */
  async flush(limitMs: number): Promise<void> {
    await this.#backlog.flush((entry) => this.#write(entry), limitMs);
  }

  /** The same, for the last time: what is left is lost. Never throws. */
  async close(limitMs: number): Promise<void> {
    await this.flush(limitMs);
    const { size } = this.#backlog;
    if (size > 0)
      this.parts.logger.log('error', 'reports were not written before the worker stopped', { dropped: size });
  }

  /** Gives what has to be tried again. What the store will never take is dropped: it would keep all else from being written. */
  async #write({ tenant, report, isRepeat }: KeptReport): Promise<Unwritten<KeptReport> | undefined> {
    const { store, courier, logger } = this.parts;
    try {
      courier.tell(report, await store.run(() => report.rule(isRepeat), { tenant }));
      return undefined;
    } catch (error) {
      if (error instanceof StateStoreUnavailable) {
        store.warn(error);
        return { entry: { tenant, report, isRepeat: true }, isOut: isOutOfReach(error) };
      }
      // What it is about: usage and the place of a step, the place of a flow, the account of blobs.
      const { kind } = report;
      logger.log('error', 'a report was dropped: the state store cannot take it', {
        tenant_id: tenant,
        kind,
        error: messageOf(error),
      });
      return undefined;
    }
  }
}
