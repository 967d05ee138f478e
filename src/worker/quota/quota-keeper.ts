import { randomUUID } from 'node:crypto';
import { within } from '../../activities/within';
import type { QuotaReason, QuotaWait } from '../../dsl/quota';
import { Background } from '../background';
import type { Logger } from '../logger';
import type { Quotas } from '../policy/policy';
import type { Rule } from '../state/rule';
import type { StateStore } from '../state/state-store';
import { countApproval } from '../usage/usage-rules';
import { type FlowProbe, findEnded } from './flow-probe';
import { CHECKED_AT_ONCE, type HeldLease, renewLeases, restoreLeases, takeUncheckedFlows } from './lease-rules';
import { LineReviewer } from './line-reviewer';
import { LEASE_MS, type LineKind, type Offer } from './lines';
import { OfferCourier } from './offer-courier';
import type { OfferSender } from './offer-sender';
import { storeRetryMs } from './outage';
import { askForPlace, holdPlace, releasePlace } from './place-rules';
import { ReportWriter } from './report-writer';
import { isEmpty, isUrgent, type Settlement, settleAttempt, settleAttempts } from './settle-rules';
import { SpaceKeeper } from './space-keeper';
import { waitForSpace } from './space-rules';
import { STORE_PATIENCE_MS, StoreAccess } from './store-access';
import type { Asker } from './tickets';

const REVIEW_EVERY_MS = 2_000;
const FLUSH_EVERY_MS = 2_000;
const PROBE_EVERY_MS = 10_000;

/** Of 20 flows each: a worker asks Temporal about 50 flows a second at most. */
const PROBE_ROUNDS = 25;

/** A fourth of what a lease lasts: a renewal may fail twice. */
const RENEW_EVERY_MS = LEASE_MS / 4;

/** How long the worker writes now and then what the store has missed. */
const BACKLOG_MS = 1_000;

/** How long its end takes: what is under way, for half of it at most, and then what is left to be written. */
const CLOSE_MS = 10_000;

/** Of what a local activity has left once its steps have ended: it loses all of them where it comes too late. */
const TOGETHER_PATIENCE_MS = 100;

/** What a keeper is made of. */
export interface KeeperParts {
  readonly store: StateStore;
  /** Name of the worker, which no other has. */
  readonly worker: string;
  readonly quotasOf: (tenant: string) => Quotas;
  readonly sender: OfferSender;
  readonly probe: FlowProbe;
  readonly logger: Logger;
  /** Told of each time that a step or a flow is sent to wait. */
  readonly onWait?: ((reason: QuotaReason) => void) | undefined;
  /** Told why the store is out of reach; undefined: it takes what is written. */
  readonly onStore?: (problem: string | undefined) => void;
  /** The store did not answer when it was opened. */
  readonly isStoreOut?: boolean;
}

/**
 * A worker's dealings with the state store: places for steps and flows, usage, and what has to go on in the background.
 * Quotas are looked up at each turn, so that a changed policy counts at once.
 */
export class QuotaKeeper {
  readonly #held = new Map<string, HeldLease>();
  readonly #store: StoreAccess;
  readonly #background: Background;
  readonly #courier: OfferCourier;
  readonly #reports: ReportWriter;
  readonly #reviewer: LineReviewer;
  /** The account of the bytes that tenants' blobs take. */
  readonly space: SpaceKeeper;

  constructor(private readonly parts: KeeperParts) {
    const { worker, quotasOf, sender, logger } = parts;
    const store = new StoreAccess(parts.store, logger, { onStore: parts.onStore, isOut: parts.isStoreOut });
    const background = new Background((error) => store.warn(error));
    const onMissed = () => this.#reviewer.rest();
    const courier = new OfferCourier({ store, quotasOf, sender, background, onMissed });
    const reports = new ReportWriter({ store, courier, background, logger });
    const reviewer = new LineReviewer({ worker, store, courier, quotasOf });
    this.space = new SpaceKeeper({
      quotasOf,
      run: (rule, options) => store.run(rule, options),
      report: (tenant, rule) => reports.report({ tenant, kind: 'space', rule }),
    });
    background.every(REVIEW_EVERY_MS, 'review', () => reviewer.review());
    background.every(FLUSH_EVERY_MS, 'flush', () => reports.flush(BACKLOG_MS));
    background.every(PROBE_EVERY_MS, 'probe', () => this.#probeFlows());
    background.every(RENEW_EVERY_MS, 'renew', () => this.#renew());
    this.#store = store;
    this.#background = background;
    this.#courier = courier;
    this.#reports = reports;
    this.#reviewer = reviewer;
  }

  quotasOf(tenant: string): Quotas {
    return this.parts.quotasOf(tenant);
  }

  /** Asks for a place; undefined where it is given. A store that does not answer is something to wait for. */
  async ask(asker: Asker): Promise<QuotaWait | undefined> {
    if (!this.#store.allowsTry()) return this.#waits(waitForStore(asker));
    const { tenant, kind, lease } = asker;
    const asking = this.#store.run(() => askForPlace(asker, this.quotasOf(tenant)), {
      tenant,
      mayBeLost: kind === 'step',
    });
    try {
      const { wait, isLeased, offers } = await within(STORE_PATIENCE_MS, asking);
      this.#courier.tell(asker, offers);
      if (isLeased && kind === 'step') this.#held.set(lease, { ...asker, id: lease });
      return wait === undefined ? undefined : this.#waits(wait);
    } catch (error) {
      this.#store.warn(error);
      const finish = asking.then(async ({ isLeased, offers }) => {
        this.#courier.tell(asker, offers);
        // A place that is given too late is given back; a flow finds it when it asks again.
        if (isLeased && kind === 'step') await this.settle({ tenant, lease, id: lease, attempt: 1 });
      });
      this.#background.follow(finish.catch(() => undefined));
      return this.#waits(waitForStore(asker));
    }
  }

  /** Releases an attempt's lease and counts what it used, durably; where the store does not answer in time, later. Never throws. */
  async settle(settlement: Settlement): Promise<void> {
    const { tenant, lease } = settlement;
    if (lease !== undefined) this.#held.delete(lease);
    if (isEmpty(settlement)) return;
    const id = randomUUID();
    await this.#reports.report({
      tenant,
      kind: 'step',
      rule: (isRepeat) => settleAttempt(settlement, this.quotasOf(tenant), { id, isRepeat }),
    });
  }

  /**
   * As {@link settle}, for attempts of one tenant of which none {@link mustSettleAtOnce}, in one transaction. Waits only briefly: what all of them gave
   * waits with it. Never throws.
   */
  async settleTogether(tenant: string, settlements: readonly Settlement[]): Promise<void> {
    const all = settlements.filter((settlement) => !isEmpty(settlement));
    if (all.length === 0) return;
    const id = randomUUID();
    const rule = (isRepeat: boolean): Rule<readonly Offer[]> => settleAttempts(tenant, all, { id, isRepeat });
    await this.#reports.report({ tenant, kind: 'step', rule }, TOGETHER_PATIENCE_MS);
  }

  /** True where others may wait for what the attempt gives back. */
  mustSettleAtOnce(settlement: Settlement): boolean {
    return isUrgent(settlement, this.quotasOf(settlement.tenant));
  }

  /** Counts an approval that a flow asked for; `id` tells it from others. Never throws. */
  async countApproval(tenant: string, id: string): Promise<void> {
    const rule = function* (): Rule<readonly Offer[]> {
      yield* countApproval({ tenant, id });
      return [];
    };
    await this.#reports.report({ tenant, kind: 'step', rule });
  }

  /** A place in the line of those who wait for room for a blob of so many bytes. */
  async awaitSpace(asker: Asker, needs: number): Promise<QuotaWait> {
    const { tenant } = asker;
    const asking = this.#store.run(() => waitForSpace(asker, needs, this.quotasOf(tenant)), { tenant });
    // However late: whose turn it is has to hear of it.
    const telling = asking.then(({ offers }) => this.#courier.tell({ tenant, kind: 'space' }, offers));
    this.#background.follow(telling.catch(() => undefined));
    try {
      return this.#waits((await within(STORE_PATIENCE_MS, asking)).wait);
    } catch (error) {
      this.#store.warn(error);
      return this.#waits(waitForStore(asker));
    }
  }

  /** True where the attempt's lease is to be released. */
  holds(lease: string): boolean {
    return this.#held.has(lease);
  }

  /** Takes tickets out of a line. */
  async leave(line: { tenant: string; kind: LineKind; tickets: readonly string[] }): Promise<void> {
    await this.#courier.leave(line);
  }

  /** Sees to it that an open flow has its place, also where the tenant has no place left. Never throws. */
  async holdFlow(asker: Asker): Promise<void> {
    const rule = function* (): Rule<readonly Offer[]> {
      yield* holdPlace(asker);
      return [];
    };
    await this.#reports.report({ tenant: asker.tenant, kind: 'flow', rule });
  }

  /** Gives the place of a flow back; where the store does not answer, later. Never throws. */
  async releaseFlow(tenant: string, place: string): Promise<void> {
    await this.#reports.report({
      tenant,
      kind: 'flow',
      rule: () => releasePlace(tenant, place, this.quotasOf(tenant)),
    });
  }

  /** Stops the background work and waits for what is under way; writes what is left. */
  async close(): Promise<void> {
    const closeBy = performance.now() + CLOSE_MS;
    await this.#background.close(CLOSE_MS / 2);
    await this.#reports.close(closeBy - performance.now());
    await this.#reviewer.close();
    await this.#store.close();
  }

  #waits(wait: QuotaWait): QuotaWait {
    this.parts.onWait?.(wait.reason);
    return wait;
  }

  /** Each tenant's by itself: rows of one that are locked stop no other's. */
  async #renew(): Promise<void> {
    const byTenant = new Map<string, HeldLease[]>();
    for (const lease of this.#held.values()) {
      const own = byTenant.get(lease.tenant) ?? [];
      byTenant.set(lease.tenant, own);
      own.push(lease);
    }
    for (const [tenant, leases] of byTenant) {
      this.#background.alone(`renew leases of ${tenant}`, () => this.#renewLeases(tenant, leases));
    }
    for (const tenant of this.space.tenants()) {
      this.#background.alone(`renew space of ${tenant}`, () => this.space.renew(tenant));
    }
  }

  async #renewLeases(tenant: string, leases: readonly HeldLease[]): Promise<void> {
    const options = { tenant, mayBeLost: true };
    const lost = await this.#store.run(() => renewLeases(leases), options);
    if (!lost.some(({ id }) => this.#held.has(id))) return;
    await this.#store.run(() => restoreLeases(tenant, lost, (id) => this.#held.has(id)), options);
  }

  /** Flows that were ended by force give nothing back: Temporal knows that they are gone, and may take its time. */
  async #probeFlows(): Promise<void> {
    const stopAt = performance.now() + PROBE_EVERY_MS / 2;
    for (let round = 0; round < PROBE_ROUNDS && performance.now() < stopAt; round += 1) {
      const flows = await this.#store.run(takeUncheckedFlows);
      for (const { id, tenant } of await findEnded(this.parts.probe, flows, this.parts.logger)) {
        await this.releaseFlow(tenant, id);
      }
      if (flows.length < CHECKED_AT_ONCE) return;
    }
  }
}

function waitForStore({ ticket, since = Date.now() }: Asker): QuotaWait {
  const saidAt = Date.now();
  return { ticket, since, saidAt, afterMs: storeRetryMs(ticket, saidAt - since), reason: 'store' };
}
