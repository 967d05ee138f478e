import type { Quotas } from '../policy/policy';
import { execute, query, type Rule } from '../state/rule';
import { dayOf } from '../usage/usage-rules';
import type { LockedTenant } from './lines';

/** How far ahead times for steps are given out; later ones would be wrong where the quota changes. */
export const RATE_HORIZON_MS = 10_000;

const DAY_MS = 86_400_000;

/** Part of a second's steps that may come at once. */
const BURST_SHARE = 0.1;

/**
 * The times at which a tenant's steps may begin, one after the other (the generic cell rate algorithm, ITU-T I.371): at equal
 * distances, but for a burst of a tenth of a second's steps. Without the quota always now.
 */
export class StepClock {
  #next: number;
  readonly #now: number;
  readonly #distanceMs: number;
  readonly #toleranceMs: number;

  constructor(
    private readonly tenant: LockedTenant,
    { stepsPerSecond }: Quotas,
  ) {
    this.#now = tenant.now;
    this.#next = tenant.rate_next;
    this.#distanceMs = stepsPerSecond === undefined ? 0 : 1_000 / stepsPerSecond;
    this.#toleranceMs = this.#distanceMs * Math.max(0, (stepsPerSecond ?? 0) * BURST_SHARE - 1);
  }

  /** True where there is a quota, so that times are scarce. */
  get isLimiting(): boolean {
    return this.#distanceMs > 0;
  }

  /** When the next step may begin; undefined where that is beyond the horizon. */
  get nextAt(): number | undefined {
    if (this.#distanceMs === 0) return this.#now;
    const at = Math.ceil(Math.max(this.#now, this.#next - this.#toleranceMs));
    return at > this.#now + RATE_HORIZON_MS ? undefined : at;
  }

  /** Gives that time to a step. */
  take(): void {
    if (this.#distanceMs > 0) this.#next = Math.max(this.#next, this.#now) + this.#distanceMs;
  }

  *save(): Rule<void> {
    if (this.#next === this.tenant.rate_next) return;
    yield* execute('UPDATE beamline_tenants SET rate_next = ? WHERE tenant = ?', this.#next, this.tenant.tenant);
  }
}

/** When the tenant's CPU time is up for this window, its end; windows begin at multiples of their length since 1970 (UTC). */
export function cpuExhaustedUntil(tenant: LockedTenant, { cpuTime }: Quotas): number | undefined {
  if (cpuTime === undefined) return undefined;
  const window = windowAt(tenant.now, cpuTime.windowMs);
  const usedMs = tenant.cpu_window === window ? tenant.cpu_used_ms : 0;
  return usedMs >= cpuTime.maxMs ? window + cpuTime.windowMs : undefined;
}

/**
 * Begins the tenant's window where it has not begun, with what usage says of its days: a quota that is new, or has another window, counts
 * what was used before. A window that is not of whole days begins with nothing, or with what is known of one that began with it. Gives the
 * tenant as it is then.
 */
export function* openCpuWindow(tenant: LockedTenant, { cpuTime }: Quotas): Rule<LockedTenant> {
  if (cpuTime === undefined) return tenant;
  const { windowMs } = cpuTime;
  const window = windowAt(tenant.now, windowMs);
  const isBegun = tenant.cpu_window === window;
  if (isBegun && tenant.cpu_window_ms === windowMs) return tenant;
  const knownMs = isBegun ? tenant.cpu_used_ms : 0;
  const usedMs = windowMs % DAY_MS === 0 ? yield* readCpuSince(tenant.tenant, window) : knownMs;
  yield* execute(
    'UPDATE beamline_tenants SET cpu_window = ?, cpu_window_ms = ?, cpu_used_ms = ? WHERE tenant = ?',
    window,
    windowMs,
    usedMs,
    tenant.tenant,
  );
  return { ...tenant, cpu_window: window, cpu_window_ms: windowMs, cpu_used_ms: usedMs };
}

function* readCpuSince(tenant: string, day: number): Rule<number> {
  const [row] = yield* query<{ used: number | null }>(
    'SELECT sum(cpu_ms) AS used FROM beamline_usage WHERE tenant = ? AND day >= ?',
    tenant,
    dayOf(day),
  );
  return row?.used ?? 0;
}

/**
 * Adds CPU time to the tenant's window, where it ever had a quota: that may be taken away and given again. `cpuMs` is not in usage yet.
 * Gives the tenant as it is then.
 */
export function* chargeCpu(locked: LockedTenant, quotas: Quotas, cpuMs: number): Rule<LockedTenant> {
  const tenant = yield* openCpuWindow(locked, quotas);
  if (cpuMs <= 0) return tenant;
  yield* chargeOpenWindow(tenant.tenant, cpuMs);
  return { ...tenant, cpu_used_ms: tenant.cpu_used_ms + cpuMs };
}

/** The same for a tenant whose row is not locked. */
export function* chargeOpenWindow(tenant: string, cpuMs: number): Rule<void> {
  yield* execute(
    'UPDATE beamline_tenants SET cpu_used_ms = cpu_used_ms + ? WHERE tenant = ? AND cpu_window > 0',
    cpuMs,
    tenant,
  );
}

function windowAt(now: number, windowMs: number): number {
  return Math.floor(now / windowMs) * windowMs;
}
