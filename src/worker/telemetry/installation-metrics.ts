import type { Registry } from 'prom-client';
import { within } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import { Background } from '../background';
import type { Policy, Quotas } from '../policy/policy';
import { readLoad, type TenantLoad } from '../quota/tenant-load';
import { DUTY_MS, type DutyName, leaveDuty, MIN_DUTY_LEFT_MS, readDuty, takeDuty } from '../state/duties';
import type { StateStore } from '../state/state-store';
import { countUsageSinceBegin, type UsageCounters } from '../usage/usage-counters';
import type { FlowFigures, FlowSurvey } from './flow-survey';
import { INSTALLATION_METRICS } from './installation-table';
import { createFamilies, type Families } from './metric-family';
import type { QueueStates, QueueSurvey } from './queue-survey';

/** What the figures are made from. */
export interface InstallationParts {
  readonly store: StateStore;
  readonly worker: string;
  readonly policy: { current(): Pick<Policy, 'tenants'> | undefined };
  readonly quotasOf: (tenant: string) => Quotas;
  readonly flows: Pick<FlowSurvey, 'read'>;
  /** Of all pools that there can be, served or not. */
  readonly queues: Pick<QueueSurvey, 'read'>;
  /** It need not be asked then: each question is tried again for a while. */
  readonly isTemporalAway: () => boolean;
  /** Tells the flows of this namespace and queue prefix from others with the same store. */
  readonly scope: string;
  /** Why figures are missing; undefined: they are there. */
  readonly onProblem: (message: string | undefined) => void;
}

type Tables = Families<typeof INSTALLATION_METRICS>;

/** How often a worker looks whether a duty is its own, well within the time that a duty lasts. */
const LOOK_EVERY_MS = DUTY_MS / 2;

/** How old figures may be before they are read again. */
const REFRESH_MS = 15_000;

/** A worker that nobody has scraped for so long leaves the duties to others. */
const WANTED_MS = 180_000;

/** How long the first scrape waits for figures. With the 2 s for the queues it is well below the 4 s that `beamline top` waits. */
const FIRST_MS = 1_500;

/** How long what is under way may take to end. */
const CLOSE_MS = 2_000;

const FLOW_NAMES = [
  'beamline_flows',
  'beamline_flows_closed',
  'beamline_approvals_waiting',
  'beamline_approval_oldest_seconds',
  'beamline_dead_letters_waiting',
  'beamline_dead_letter_oldest_seconds',
] as const;
const POOL_NAMES = ['beamline_pool_queue_depth', 'beamline_pool_queue_age_seconds', 'beamline_pool_pollers'] as const;
const TENANT_NAMES = (Object.keys(INSTALLATION_METRICS) as (keyof Tables)[]).filter(
  (name) => !([...FLOW_NAMES, ...POOL_NAMES] as readonly string[]).includes(name),
);

/** One kind of figures, and the duty to show them. */
interface Duty {
  readonly name: DutyName;
  /** Reads the figures and shows them. */
  readonly show: () => Promise<void>;
  readonly hide: () => void;
  isOwn: boolean;
  shownAt: number;
}

/**
 * Shows what is true of the whole installation, where this worker has the duty: only one that is scraped takes it. Figures that cannot be
 * read any more, or that another worker has to show, are gone.
 */
export class InstallationMetrics {
  readonly #tables: Tables;
  readonly #duties: readonly Duty[];
  readonly #background: Background;
  #problems = new Map<string, string>();
  #wantedAt = Number.NEGATIVE_INFINITY;
  #first: Promise<void> | undefined;

  constructor(
    private readonly parts: InstallationParts,
    registry: Registry,
  ) {
    this.#tables = createFamilies(INSTALLATION_METRICS, registry);
    const begin = { isOwn: false, shownAt: Number.NEGATIVE_INFINITY };
    this.#duties = [
      {
        ...begin,
        name: 'tenantFigures',
        show: () => this.#showTenants(),
        hide: () => this.#clear(TENANT_NAMES),
      },
      {
        ...begin,
        name: `flowFigures:${parts.scope}`,
        show: async () => {
          if (parts.isTemporalAway()) throw new Error('Temporal does not answer');
          const [flows, queues] = await Promise.all([parts.flows.read(), parts.queues.read()]);
          this.#showFlows(flows);
          this.#showQueues(queues);
        },
        hide: () => this.#clear([...FLOW_NAMES, ...POOL_NAMES]),
      },
    ];
    for (const { hide } of this.#duties) hide();
    this.#background = new Background((error) => parts.onProblem(messageOf(error)));
    this.#background.every(LOOK_EVERY_MS, 'figures', () => this.#look());
  }

  /** To be called with every scrape. The first one waits for the figures, but not for long. Never throws. */
  async wanted(): Promise<void> {
    this.#wantedAt = performance.now();
    this.#first ??= this.#look();
    await within(FIRST_MS, this.#first).catch(() => undefined);
  }

  /** Leaves the duties to others. Never throws. */
  async close(): Promise<void> {
    await this.#background.close(CLOSE_MS);
    await this.#leave();
  }

  async #look(): Promise<void> {
    if (performance.now() - this.#wantedAt > WANTED_MS) {
      // Who scrapes again waits for the figures again.
      this.#first = undefined;
      return await this.#leave();
    }
    await Promise.all(this.#duties.map((duty) => this.#attend(duty)));
  }

  async #attend(duty: Duty): Promise<void> {
    try {
      duty.isOwn = await this.#holds(duty.name);
      if (!duty.isOwn) this.#hide(duty);
      else if (performance.now() - duty.shownAt >= REFRESH_MS) {
        await duty.show();
        duty.shownAt = performance.now();
      }
      this.#problems.delete(duty.name);
    } catch (error) {
      this.#hide(duty);
      this.#problems.set(duty.name, messageOf(error));
    }
    this.parts.onProblem([...this.#problems.values()][0]);
  }

  async #holds(name: DutyName): Promise<boolean> {
    const { store, worker } = this.parts;
    const { isOthers, leftMs } = await store.run(() => readDuty(name, worker), { isReading: true });
    if (isOthers) return false;
    return leftMs >= MIN_DUTY_LEFT_MS || (await store.run(() => takeDuty(name, worker), { mayBeLost: true }));
  }

  #hide(duty: Duty): void {
    duty.shownAt = Number.NEGATIVE_INFINITY;
    if (duty.name.startsWith('flowFigures')) this.#problems.delete('queues');
    duty.hide();
  }

  async #leave(): Promise<void> {
    // What nobody reads is no gap.
    this.#problems.clear();
    this.parts.onProblem(undefined);
    const { store, worker } = this.parts;
    for (const duty of this.#duties) {
      if (!duty.isOwn) continue;
      duty.isOwn = false;
      this.#hide(duty);
      await store
        .run(() => leaveDuty(duty.name, worker))
        .catch((error: unknown) => this.parts.onProblem(messageOf(error)));
    }
  }

  async #showTenants(): Promise<void> {
    const { store, policy, quotasOf } = this.parts;
    const tenants = new Set(policy.current()?.tenants.keys() ?? []);
    if (tenants.size === 0) return this.#clear(TENANT_NAMES);
    const load = await store.run(() => readLoad(tenants, quotasOf), { isReading: true });
    const usage = await store.run(() => countUsageSinceBegin(tenants), { mayBeLost: true });
    this.#clear(TENANT_NAMES);
    for (const tenant of load) this.#showLoad(tenant);
    for (const tenant of tenants) this.#showUsage(tenant, usage.get(tenant));
  }

  #showLoad({ tenant, running, waiting, quotas, blobBytes }: TenantLoad): void {
    const tables = this.#tables;
    if (running !== undefined) tables.beamline_tenant_steps_running.of(tenant).set(running);
    tables.beamline_tenant_steps_waiting.of(tenant).set(waiting);
    if (blobBytes !== undefined) tables.beamline_tenant_blob_bytes.of(tenant).set(blobBytes);
    for (const [quota, isUsedUp] of quotas) {
      tables.beamline_tenant_over_quota.of(tenant, quota).set(isUsedUp ? 1 : 0);
    }
  }

  /** A tenant that has used nothing yet has used 0: so its first step is seen as a rise. */
  #showUsage(tenant: string, usage: UsageCounters | undefined): void {
    const tables = this.#tables;
    tables.beamline_tenant_steps_total.of(tenant).inc(usage?.steps ?? 0);
    tables.beamline_tenant_failures_total.of(tenant).inc(usage?.failures ?? 0);
    tables.beamline_tenant_cpu_ms_total.of(tenant).inc(usage?.cpu_ms ?? 0);
    tables.beamline_tenant_bytes_total.of(tenant, 'in').inc(usage?.bytes_in ?? 0);
    tables.beamline_tenant_bytes_total.of(tenant, 'out').inc(usage?.bytes_out ?? 0);
    tables.beamline_tenant_approvals_total.of(tenant).inc(usage?.approvals ?? 0);
    tables.beamline_tenant_peak_memory_bytes.of(tenant).set(usage?.peak_memory_bytes ?? 0);
  }

  #showFlows(figures: FlowFigures): void {
    const tables = this.#tables;
    this.#clear(FLOW_NAMES);
    for (const [status, count] of figures.open) tables.beamline_flows.of(status).set(count);
    for (const [status, count] of figures.closed) tables.beamline_flows_closed.of(status).set(count);
    tables.beamline_approvals_waiting.of().set(figures.approvals);
    tables.beamline_approval_oldest_seconds.of().set(figures.oldestApproval);
    tables.beamline_dead_letters_waiting.of().set(figures.deadLetters);
    const { oldestDeadLetter } = figures;
    if (oldestDeadLetter !== undefined) tables.beamline_dead_letter_oldest_seconds.of().set(oldestDeadLetter);
  }

  /** A queue that cannot be told takes nothing else along. */
  #showQueues({ pools, failure }: QueueStates): void {
    const tables = this.#tables;
    this.#clear(POOL_NAMES);
    for (const [pool, { depth, ageSeconds, pollers }] of pools) {
      tables.beamline_pool_queue_depth.of(pool).set(depth);
      tables.beamline_pool_queue_age_seconds.of(pool).set(ageSeconds);
      tables.beamline_pool_pollers.of(pool).set(pollers.length);
    }
    if (failure === undefined) this.#problems.delete('queues');
    else this.#problems.set('queues', failure);
  }

  #clear(names: readonly (keyof Tables)[]): void {
    for (const name of names) this.#tables[name].clear();
  }
}
