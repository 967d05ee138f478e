import type { TenantShare } from '../../dsl/start';
import type { PolicySource } from './policy';

/** Temporal's own. */
const DEFAULT_PRIORITY = 3;
const DEFAULT_WEIGHT = 1;

/** A tenant's share of the workers beside others, as the policy in force says; undefined where there is none. */
export function shareOf(policy: PolicySource, tenant: string): TenantShare | undefined {
  const inForce = policy.current();
  if (inForce === undefined) return undefined;
  const { fairnessWeight = DEFAULT_WEIGHT, priorityKey = DEFAULT_PRIORITY } = inForce.tenants.get(tenant) ?? {};
  return { fairnessWeight, priorityKey };
}
