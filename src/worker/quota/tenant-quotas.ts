import type { WorkerConfig } from '../config';
import type { PolicySource, Quotas } from '../policy/policy';

const DAY_MS = 86_400_000;

/** The quotas of each tenant, as the policy in force says now; `--max-cpu-time-ms` counts where that says nothing of CPU time. */
export function tenantQuotas(
  policy: PolicySource,
  { maxCpuTimeMs }: Pick<WorkerConfig, 'maxCpuTimeMs'>,
): (tenant: string) => Quotas {
  const defaults: Quotas = maxCpuTimeMs === undefined ? {} : { cpuTime: { maxMs: maxCpuTimeMs, windowMs: DAY_MS } };
  return (tenant) => ({ ...defaults, ...policy.current()?.tenants.get(tenant)?.quotas });
}
