import type { QuotaName } from '../../dsl/quota';
import type { Quotas } from '../policy/policy';
import { query, type Rule } from '../state/rule';
import { LineLimits } from './line-limits';
import type { LockedTenant } from './lines';

/** A tenant as the store knows it now. */
export interface TenantLoad {
  readonly tenant: string;
  /** Steps that run; absent where the tenant has no quota for which they are counted. */
  readonly running?: number;
  /** Steps in the tenant's lines: for a place, or for room for a blob. */
  readonly waiting: number;
  /** The quotas that it has; true: whoever asks now has to wait. */
  readonly quotas: ReadonlyMap<QuotaName, boolean>;
  /** What its blobs take; absent where that is to be counted anew. */
  readonly blobBytes?: number;
}

interface LoadRow extends LockedTenant {
  readonly steps: number;
  readonly flows: number;
  readonly step_offers: number;
  readonly flow_offers: number;
  readonly waiting: number;
  readonly needs_space: number;
}

/** Reads how much tenants use of what they may. Locks and writes nothing. Those of whom nothing is known yet are idle. */
export function* readLoad(
  tenants: Iterable<string>,
  quotasOf: (tenant: string) => Quotas,
): Rule<readonly TenantLoad[]> {
  const [clock] = yield* query<{ now: number }>('SELECT now_ms() AS now');
  const { now = 0 } = clock ?? {};
  const rows = yield* query<LoadRow>(
    `SELECT known.*, ? AS now,
        (SELECT count(*) FROM beamline_leases WHERE tenant = known.tenant AND kind = 'step' AND expires_at > ?) AS steps,
        (SELECT count(*) FROM beamline_leases WHERE tenant = known.tenant AND kind = 'flow' AND expires_at > ?) AS flows,
        line.step_offers, line.flow_offers, line.waiting, line.needs_space
       FROM beamline_tenants AS known
       LEFT JOIN (
         SELECT tenant,
           count(CASE WHEN kind = 'step' AND offered_until > ? THEN 1 END) AS step_offers,
           count(CASE WHEN kind = 'flow' AND offered_until > ? THEN 1 END) AS flow_offers,
           count(CASE WHEN kind <> 'flow' THEN 1 END) AS waiting,
           count(CASE WHEN kind = 'space' AND offered_until <= ? THEN 1 END) AS needs_space
           FROM beamline_tickets WHERE expires_at > ? GROUP BY tenant
       ) AS line ON line.tenant = known.tenant`,
    ...Array.from({ length: 7 }, () => now),
  );
  const byName = new Map(rows.map((row) => [row.tenant, row]));
  return [...tenants].map((tenant) => loadOf(byName.get(tenant) ?? idle(tenant, now), quotasOf(tenant)));
}

function loadOf(row: LoadRow, quotas: Quotas): TenantLoad {
  const { tenant, steps, waiting, blob_bytes: blobBytes } = row;
  const { concurrentSteps, stepsPerSecond, cpuTime } = quotas;
  const hasLeases = concurrentSteps !== undefined || stepsPerSecond !== undefined || cpuTime !== undefined;
  return {
    tenant,
    ...(hasLeases ? { running: steps } : {}),
    waiting: waiting ?? 0,
    quotas: new Map(stateOf(row, quotas)),
    ...(blobBytes === null ? {} : { blobBytes }),
  };
}

function* stateOf(row: LoadRow, quotas: Quotas): Generator<[QuotaName, boolean]> {
  const { clock, exhaustedUntil } = new LineLimits(row, 'step', quotas);
  const { concurrentSteps, stepsPerSecond, cpuTime, blobBytes, flows } = quotas;
  if (concurrentSteps !== undefined) {
    yield ['concurrentSteps', row.steps + (row.step_offers ?? 0) >= concurrentSteps];
  }
  if (stepsPerSecond !== undefined) yield ['stepsPerSecond', clock.nextAt !== row.now];
  if (cpuTime !== undefined) yield ['cpuTime', exhaustedUntil !== undefined];
  if (blobBytes !== undefined) {
    yield ['blobBytes', (row.needs_space ?? 0) > 0 || (row.blob_bytes ?? 0) >= blobBytes];
  }
  if (flows !== undefined) yield ['flows', row.flows + (row.flow_offers ?? 0) >= flows];
}

function idle(tenant: string, now: number): LoadRow {
  return {
    tenant,
    now,
    next_seq: 0,
    known_limit: null,
    rate_next: 0,
    cpu_window: 0,
    cpu_window_ms: 0,
    cpu_used_ms: 0,
    blob_bytes: null,
    steps: 0,
    flows: 0,
    step_offers: 0,
    flow_offers: 0,
    waiting: 0,
    needs_space: 0,
  };
}
