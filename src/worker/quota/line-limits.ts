import type { QuotaNeed, QuotaReason } from '../../dsl/quota';
import type { Quotas } from '../policy/policy';
import type { LineState, LockedTenant, PlaceKind } from './lines';
import { cpuExhaustedUntil, StepClock } from './rates';

/** What limits a tenant's line of one kind. */
export class LineLimits {
  readonly clock: StepClock;
  readonly limit: number;
  readonly reason: QuotaReason;
  /** Set where nobody may go: the CPU time of the window is used up. */
  readonly exhaustedUntil: number | undefined;

  constructor(
    readonly tenant: LockedTenant,
    readonly kind: PlaceKind,
    readonly quotas: Quotas,
  ) {
    const isStep = kind === 'step';
    this.clock = new StepClock(tenant, isStep ? quotas : {});
    this.limit = (isStep ? quotas.concurrentSteps : quotas.flows) ?? Number.POSITIVE_INFINITY;
    this.reason = isStep ? 'concurrentSteps' : 'flows';
    this.exhaustedUntil = isStep ? cpuExhaustedUntil(tenant, quotas) : undefined;
  }

  /** What the flow is told that it waits for. */
  need(reason: QuotaReason, { leases, offers }: Pick<LineState, 'leases' | 'offers'>): QuotaNeed {
    const { cpuTime, stepsPerSecond: rate } = this.quotas;
    const until = this.exhaustedUntil;
    if (reason === 'cpuTime') return { reason, ...(cpuTime && { limit: cpuTime.maxMs }), ...(until && { until }) };
    if (reason === 'stepsPerSecond') return { reason, ...(rate && { limit: rate }) };
    return { reason, limit: this.limit, used: leases + offers };
  }
}

/** Steps at once, as the store keeps it: -1 for any number. */
export function knownLimitOf({ concurrentSteps = -1 }: Quotas): number {
  return concurrentSteps;
}
