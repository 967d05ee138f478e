import { query, type Rule } from '../state/rule';

/** What a tenant used on one day (UTC). */
export interface UsageDay {
  readonly tenant: string;
  /** `2026-11-28` */
  readonly day: string;
  readonly steps: number;
  readonly failures: number;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The most that its blobs took on that day. */
  readonly blobBytes: number;
  readonly approvals: number;
}

/** Which days; absent: all. */
export interface UsageRange {
  readonly tenant?: string | undefined;
  /** First and last day, both included. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const FIRST_DAY = '0000-01-01';
const LAST_DAY = '9999-12-31';

/** Usage by day and tenant, the oldest first. */
export function* readUsage({ tenant, from = FIRST_DAY, to = LAST_DAY }: UsageRange): Rule<readonly UsageDay[]> {
  const rows = yield* query<Record<string, string | number>>(
    `SELECT tenant, day, steps, failures, cpu_ms, peak_memory_bytes, bytes_in, bytes_out, blob_bytes, approvals
       FROM beamline_usage WHERE day BETWEEN ? AND ? AND (tenant = ? OR ? = 1) ORDER BY day, tenant`,
    from,
    to,
    tenant ?? '',
    tenant === undefined ? 1 : 0,
  );
  return rows.map((row) => ({
    tenant: String(row.tenant),
    day: String(row.day),
    steps: Number(row.steps),
    failures: Number(row.failures),
    cpuMs: Math.round(Number(row.cpu_ms)),
    peakMemoryBytes: Number(row.peak_memory_bytes),
    bytesIn: Number(row.bytes_in),
    bytesOut: Number(row.bytes_out),
    blobBytes: Number(row.blob_bytes),
    approvals: Number(row.approvals),
  }));
}

/** Several days of a tenant as one, named by the tenant alone. */
export function sumUsage(days: readonly UsageDay[]): Omit<UsageDay, 'day'>[] {
  const sums = new Map<string, Omit<UsageDay, 'day'>>();
  for (const { day: _, ...usage } of days) {
    const sum = sums.get(usage.tenant);
    sums.set(usage.tenant, sum === undefined ? usage : add(sum, usage));
  }
  return [...sums.values()].sort((left, right) => (left.tenant < right.tenant ? -1 : 1));
}

function add(sum: Omit<UsageDay, 'day'>, usage: Omit<UsageDay, 'day'>): Omit<UsageDay, 'day'> {
  return {
    tenant: sum.tenant,
    steps: sum.steps + usage.steps,
    failures: sum.failures + usage.failures,
    cpuMs: sum.cpuMs + usage.cpuMs,
    peakMemoryBytes: Math.max(sum.peakMemoryBytes, usage.peakMemoryBytes),
    bytesIn: sum.bytesIn + usage.bytesIn,
    bytesOut: sum.bytesOut + usage.bytesOut,
    blobBytes: Math.max(sum.blobBytes, usage.blobBytes),
    approvals: sum.approvals + usage.approvals,
  };
}
