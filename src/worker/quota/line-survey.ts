import type { Quotas } from '../policy/policy';
import { type Duty, readDuty } from '../state/duties';
import { query, type Rule } from '../state/rule';
import { knownLimitOf, LineLimits } from './line-limits';
import type { LineKind, LockedTenant } from './lines';

/** A line as it stands: enough to say whether a review would change something. */
export interface SurveyedLine extends LockedTenant {
  readonly kind: LineKind;
  /** Those who could be offered a place. */
  readonly waiting: number;
  /** Places that are set aside. */
  readonly offers: number;
  readonly leases: number;
  /** What the smallest of those who wait for room needs. */
  readonly least_bytes: number | null;
  /** Bytes that changes of blobs may take, and those of such changes that are lost. */
  readonly reserved: number | null;
  readonly lost: number;
}

/**
 * Looks at all lines in which somebody stands, and those before which somebody may stand in a flow of its own, unless another worker does:
 * one statement for all, which locks nothing and writes nothing.
 */
export function* surveyLines(worker: string): Rule<Duty & { readonly lines: readonly SurveyedLine[] }> {
  const duty = yield* readDuty('review', worker);
  if (duty.isOthers) return { ...duty, lines: [] };
  const { now } = duty;
  const lines = yield* query<SurveyedLine>(
    `SELECT line.kind, line.waiting, line.offers, line.least_bytes, known.*, ? AS now,
        (SELECT count(*) FROM beamline_leases WHERE tenant = line.tenant AND kind = line.kind AND expires_at > ?) AS leases,
        (SELECT CAST(sum(bytes) AS BIGINT) FROM beamline_blob_changes WHERE tenant = line.tenant) AS reserved,
        (SELECT count(*) FROM beamline_blob_changes WHERE tenant = line.tenant AND expires_at <= ?) AS lost
       FROM (
         SELECT tenant, kind,
           count(CASE WHEN offered_until <= ? AND expires_at > ? THEN 1 END) AS waiting,
           count(CASE WHEN offered_until > ? THEN 1 END) AS offers,
           min(CASE WHEN offered_until <= ? AND expires_at > ? THEN needs_bytes END) AS least_bytes
           FROM beamline_tickets GROUP BY tenant, kind
         UNION ALL
         SELECT tenant, 'step', 0, 0, NULL FROM (SELECT DISTINCT tenant FROM beamline_leases WHERE kind = 'step') AS busy
           WHERE NOT EXISTS (SELECT 1 FROM beamline_tickets WHERE tenant = busy.tenant AND kind = 'step')
       ) AS line JOIN beamline_tenants AS known ON known.tenant = line.tenant`,
    ...Array.from({ length: 8 }, () => now),
  );
  return { ...duty, lines };
}

/** True where a review of the line would offer a place, or tell flows of a changed quota. */
export function needsReview(line: SurveyedLine, quotas: Quotas): boolean {
  if (line.kind === 'space') return line.lost > 0 || (line.waiting > 0 && hasRoom(line, quotas));
  if (line.kind === 'step' && line.known_limit !== knownLimitOf(quotas)) return true;
  const { limit, exhaustedUntil, clock } = new LineLimits(line, line.kind, quotas);
  if (line.waiting === 0 || exhaustedUntil !== undefined) return false;
  return line.leases + line.offers < limit && clock.nextAt !== undefined;
}

function hasRoom({ least_bytes: least, blob_bytes: used, reserved }: SurveyedLine, { blobBytes }: Quotas): boolean {
  if (blobBytes === undefined) return true;
  return (least ?? 0) <= blobBytes - (used ?? 0) - (reserved ?? 0);
}
