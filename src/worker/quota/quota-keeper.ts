import { setImmediate as nextTurn } from 'node:timers/promises';
import { TooLate, within } from '../../activities/within';
import type { QuotaWait } from '../../dsl/quota';
import type { Logger } from '../logger';
import type { Quotas } from '../policy/policy';
import { execute, type Rule } from '../state/rule';
import { isOutOfReach, type StateStore, StateStoreUnavailable } from '../state/state-store';
import { UsageBacklog } from '../usage/usage-backlog';
import { countApproval, countUsage, isNothing, type UsageEntry } from '../usage/usage-rules';
import { type FlowProbe, findEnded } from './flow-probe';
import { findLines, type HeldLease, renewLeases, takeUncheckedFlows } from './lease-rules';
import { LEASE_MS, type LineKind, lockTenant, type Offer } from './lines';
import type { OfferSender } from './offer-sender';
import { Outage, storeRetryMs } from './outage';
import { askForPlace, leaveLine, offerPlaces, releasePlace, reviewLine } from './place-rules';
import { prune } from './prune';
import { chargeCpu } from './rates';
import { SpaceKeeper } from './space-keeper';
import { reviewSpace, waitForSpace } from './space-rules';
import type { Asker } from './tickets';

/** How long a step lets the store keep it. */
const PATIENCE_MS = 2_000;

/** How often lines are looked at: for leases of dead workers, lapsed offers, ends of windows, changed quotas. */
const REVIEW_EVERY_MS = 2_000;
/** In reviews. */
const PRUNE_EVERY = 30;
const PROBE_EVERY = 5;

/** How long a review, and the end of the worker, write what the store has missed. */
const BACKLOG_MS = 1_000;
const LAST_BACKLOG_MS = 10_000;

/** A fourth of what a lease lasts: a renewal may fail twice. */
const RENEW_EVERY_MS = LEASE_MS / 4;

/** Pause between two lines about a store that does not answer. */
const WARN_EVERY_MS = 30_000;

/** An attempt that has ended, as the store is told. */
export interface Settlement extends UsageEntry {
  /** Id of its lease, where it had one. */
  readonly lease?: string;
}

/** What the store has to be told, sooner or later. */
interface Report {
  readonly tenant: string;
  /** Of the line in which somebody may be next then. */
  readonly kind: LineKind;
  readonly rule: () => Rule<readonly Offer[]>;
}

/**
 * A worker's dealings with the state store: places for steps and flows, usage, and what has to go on in the background.
 * Quotas are looked up at each turn, so that a changed policy counts at once.
 */
export class QuotaKeeper {
  readonly #held = new Map<string, HeldLease>();
  readonly #backlog: UsageBacklog<Report>;
  readonly #pending = new Set<Promise<unknown>>();
  /** The account of the bytes that tenants' blobs take. */
  readonly space: SpaceKeeper;
  readonly #outage = new Outage();
  readonly #timers: readonly NodeJS.Timeout[];
  /** Background work that is under way: the same does not begin again meanwhile. */
  readonly #busy = new Set<string>();
  #reviews = 0;
  #hasMoreToPrune = false;
  #warnedAt = 0;

  constructor(
    private readonly parts: {
      readonly store: StateStore;
      readonly quotasOf: (tenant: string) => Quotas;
      readonly sender: OfferSender;
      readonly probe: FlowProbe;
      readonly logger: Logger;
    },
  ) {
    this.#backlog = new UsageBacklog((dropped) =>
      parts.logger.log('error', 'usage was dropped: the state store has been out of reach for too long', { dropped }),
    );
    this.space = new SpaceKeeper({
      quotasOf: parts.quotasOf,
      run: (rule) => this.#run(rule),
      report: (tenant, rule) => this.#report({ tenant, kind: 'space', rule }),
    });
    // Leases outlive whatever keeps a review: each is on its own.
    this.#timers = [
      setInterval(() => this.#inBackground(this.#alone('review', () => this.#review())), REVIEW_EVERY_MS),
      setInterval(() => this.#inBackground(this.#alone('renew', () => this.#renew())), RENEW_EVERY_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  quotasOf(tenant: string): Quotas {
    return this.parts.quotasOf(tenant);
  }

  /** Asks for a place; undefined where it is given. A store that does not answer is something to wait for. */
  async ask(asker: Asker): Promise<QuotaWait | undefined> {
    if (!this.#outage.allowsTry()) return waitForStore(asker);
    const asking = this.#run(() => askForPlace(asker, this.quotasOf(asker.tenant)), asker.kind === 'step');
    try {
      const { wait, isLeased, offers } = await within(PATIENCE_MS, asking);
      this.#tell(asker, offers);
      if (isLeased && asker.kind === 'step') this.#held.set(asker.lease, { ...asker, id: asker.lease });
      return wait;
    } catch (error) {
      this.#warn(error);
      // A place that is given too late is given back; a flow finds it when it asks again.
      const giveBack = asking.then(({ isLeased }) =>
        isLeased && asker.kind === 'step' ? this.#release(asker) : undefined,
      );
      this.#inBackground(giveBack.catch(() => undefined));
      return waitForStore(asker);
    }
  }

  /** Releases an attempt's lease and counts what it used, durably; where the store does not answer in time, later. Never throws. */
  async settle(settlement: Settlement): Promise<void> {
    const { tenant, lease, end, usage } = settlement;
    if (lease !== undefined) this.#held.delete(lease);
    if (lease === undefined && end === undefined && isNothing(usage)) return;
    await this.#report({ tenant, kind: 'step', rule: () => this.#settleRule(settlement) });
  }

  /** Counts an approval that a flow asked for; `id` tells it from others. Never throws. */
  async countApproval(tenant: string, id: string): Promise<void> {
    const rule = function* (): Rule<readonly Offer[]> {
      yield* countApproval({ tenant, id });
      return [];
    };
    await this.#report({ tenant, kind: 'step', rule });
  }

  /** A place in the line of those who wait for room for a blob of so many bytes. */
  async awaitSpace(asker: Asker, needs: number): Promise<QuotaWait> {
    try {
      const { wait, offers } = await within(
        PATIENCE_MS,
        this.#run(() => waitForSpace(asker, needs, this.quotasOf(asker.tenant))),
      );
      this.#tell({ tenant: asker.tenant, kind: 'space' }, offers);
      return wait;
    } catch (error) {
      this.#warn(error);
      return waitForStore(asker);
    }
  }

  /** True where the attempt's lease is to be released. */
  holds(lease: string): boolean {
    return this.#held.has(lease);
  }

  /** Takes tickets out of a line. */
  async leave(line: { tenant: string; kind: LineKind; tickets: readonly string[] }): Promise<void> {
    const offers = await this.#run(() => leaveLine(line, this.quotasOf(line.tenant)));
    this.#tell(line, offers);
  }

  /** Gives the place of a flow back; where the store does not answer, later. Never throws. */
  async releaseFlow(tenant: string, place: string): Promise<void> {
    await this.#report({ tenant, kind: 'flow', rule: () => releasePlace(tenant, place, this.quotasOf(tenant)) });
  }

  /** Stops the background work and waits for what is under way; writes what is left. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.allSettled(this.#pending);
    await this.#writeBacklog(LAST_BACKLOG_MS).catch((error: unknown) => this.#warn(error));
    const { size } = this.#backlog;
    if (size > 0) this.parts.logger.log('error', 'usage was not written before the worker stopped', { dropped: size });
    await this.parts.store.close();
  }

  async #run<T>(rule: () => Rule<T>, mayBeLost = false): Promise<T> {
    return await this.#outage.watch(() => this.parts.store.run(rule, { mayBeLost }));
  }

  /** Writes what must not be lost: now, or once the store is back. */
  async #report(report: Report): Promise<void> {
    if (this.#outage.isOut) return this.#backlog.add(report);
    const writing = this.#write(report).catch((error: unknown) => this.#keep(report, error));
    this.#inBackground(writing);
    await within(PATIENCE_MS, writing).catch((error: unknown) => this.#warn(error));
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
    this.#warn(error);
    this.#backlog.add(report);
  }

  async #write({ tenant, kind, rule }: Report): Promise<void> {
    this.#tell({ tenant, kind }, await this.#run(rule));
  }

  *#settleRule(settlement: Settlement): Rule<readonly Offer[]> {
    const { tenant: name, lease, usage } = settlement;
    const quotas = this.quotasOf(name);
    let offers: readonly Offer[] = [];
    if (lease !== undefined || quotas.cpuTime !== undefined) {
      const tenant = yield* chargeCpu(yield* lockTenant(name), quotas, usage?.cpuMs ?? 0);
      if (lease !== undefined) yield* execute('DELETE FROM beamline_leases WHERE id = ?', lease);
      if (lease !== undefined) offers = yield* offerPlaces(tenant, 'step', quotas);
    }
    yield* countUsage(settlement);
    return offers;
  }

  async #release({ tenant, lease }: Asker): Promise<void> {
    const rule = (): Rule<readonly Offer[]> => this.#settleRule({ tenant, lease, id: lease, attempt: 1 });
    await this.#write({ tenant, kind: 'step', rule });
  }

  /** In the background: the step that made room does not wait for it. */
  #tell({ tenant, kind }: { tenant: string; kind: LineKind }, offers: readonly Offer[]): void {
    if (offers.length === 0) return;
    const telling = this.parts.sender.send(tenant, offers).then(async (tickets) => {
      if (tickets.length > 0) await this.leave({ tenant, kind, tickets });
    });
    this.#inBackground(telling.catch((error: unknown) => this.#warn(error)));
  }

  async #review(): Promise<void> {
    this.#reviews += 1;
    for (const { tenant, kind } of await this.#run(findLines)) await this.#reviewOne(tenant, kind);
    await this.#writeBacklog(BACKLOG_MS);
    if (this.#hasMoreToPrune || this.#reviews % PRUNE_EVERY === 0) {
      this.#hasMoreToPrune = !(await prune((rule) => this.#run(rule)));
    }
    // Temporal may take its time.
    if (this.#reviews % PROBE_EVERY === 0) this.#inBackground(this.#alone('probe', () => this.#probeFlows()));
  }

  /** One tenant's line may be out of order, or its row locked; the others go on. */
  async #reviewOne(tenant: string, kind: LineKind): Promise<void> {
    try {
      const quotas = this.quotasOf(tenant);
      if (kind === 'space') {
        this.#tell({ tenant, kind }, await this.#run(() => reviewSpace(tenant, quotas), true));
      } else {
        const { offers, news } = await this.#run(() => reviewLine(tenant, kind, quotas), true);
        this.#tell({ tenant, kind }, offers);
        this.#inBackground(this.parts.sender.inform(tenant, news, quotas.concurrentSteps));
      }
    } catch (error) {
      if (isOutOfReach(error)) throw error;
      this.#warn(error);
    }
    // Rules of SQLite run on this thread, one after the other without a pause.
    await nextTurn();
  }

  async #renew(): Promise<void> {
    const leases = [...this.#held.values()];
    if (leases.length > 0) await this.#run(() => renewLeases(leases, (id) => this.#held.has(id)), true);
    await this.space.renew();
  }

  /** Flows that were ended by force give nothing back: Temporal knows that they are gone. */
  async #probeFlows(): Promise<void> {
    const flows = await this.#run(takeUncheckedFlows);
    for (const { id, tenant } of await findEnded(this.parts.probe, flows, this.parts.logger)) {
      await this.releaseFlow(tenant, id);
    }
  }

  async #writeBacklog(limitMs: number): Promise<void> {
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

  /** Never throws. */
  async #alone(name: string, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    try {
      await work();
    } catch (error) {
      this.#warn(error);
    } finally {
      this.#busy.delete(name);
    }
  }

  #inBackground(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #warn(error: unknown): void {
    const isKnown = error instanceof StateStoreUnavailable || error instanceof TooLate;
    const now = performance.now();
    if (isKnown && this.#warnedAt !== 0 && now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const text = isKnown
      ? 'the state store does not answer; steps of tenants with quotas wait'
      : 'quotas could not be kept';
    this.parts.logger.log('warn', text, { error: textOf(error) });
  }
}

function waitForStore({ ticket, since = Date.now() }: Asker): QuotaWait {
  return { ticket, since, afterMs: storeRetryMs(ticket, Date.now() - since), reason: 'store' };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
