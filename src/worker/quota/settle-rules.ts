import { StepMeter, type StepUsage } from '../../activities/step-meter';
import type { Quotas } from '../policy/policy';
import { execute, type Rule } from '../state/rule';
import { type Charge, chargeOnce, countAttempts, isNothing, type UsageEntry } from '../usage/usage-rules';
import { lockTenant, type Offer } from './lines';
import { offerPlaces } from './place-rules';
import { chargeCpu, chargeOpenWindow } from './rates';

/** An attempt that has ended, as the store is told. */
export interface Settlement extends UsageEntry {
  /** Id of its lease, where it had one. */
  readonly lease?: string;
}

/** True where there is nothing to be told. */
export function isEmpty({ lease, end, usage }: Settlement): boolean {
  return lease === undefined && end === undefined && isNothing(usage);
}

/** True where others may wait for what is settled: a place, or CPU time. */
export function isUrgent({ lease }: Settlement, { cpuTime }: Quotas): boolean {
  return lease !== undefined || cpuTime !== undefined;
}

/** Counts what an attempt used and how it ended, and releases its lease; gives who is next in the line then. */
export function* settleAttempt(settlement: Settlement, quotas: Quotas, charge: Charge): Rule<readonly Offer[]> {
  const { tenant: name, lease, usage: used } = settlement;
  if (!isUrgent(settlement, quotas)) return yield* settleAttempts(name, [settlement], charge);
  const usage = yield* newUsage(used, charge);
  const tenant = yield* chargeCpu(yield* lockTenant(name), quotas, usage?.cpuMs ?? 0);
  if (lease !== undefined) yield* execute('DELETE FROM beamline_leases WHERE id = ?', lease);
  const offers = lease === undefined ? [] : yield* offerPlaces(tenant, 'step', quotas);
  yield* countAttempts(name, [settlement], usage);
  return offers;
}

/** The same for attempts of one tenant, none of which is urgent: what they used is one sum. */
export function* settleAttempts(
  tenant: string,
  settlements: readonly Settlement[],
  charge: Charge,
): Rule<readonly Offer[]> {
  const sum = new StepMeter();
  for (const { usage } of settlements) if (usage !== undefined) sum.add(usage);
  const usage = yield* newUsage(sum.usage(), charge);
  if (usage !== undefined) yield* chargeOpenWindow(tenant, usage.cpuMs);
  yield* countAttempts(tenant, settlements, usage);
  return [];
}

/** Undefined where there is none, or the store has counted it. */
function* newUsage(used: StepUsage | undefined, charge: Charge): Rule<StepUsage | undefined> {
  return used === undefined || isNothing(used) || !(yield* chargeOnce(charge)) ? undefined : used;
}
