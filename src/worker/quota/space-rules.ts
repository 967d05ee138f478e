import type { SpaceAnswer, SpaceChange } from '../../activities/ports/blob-space';
import type { QuotaWait } from '../../dsl/quota';
import type { Quotas } from '../policy/policy';
import { execute, query, type Rule } from '../state/rule';
import { dayOf } from '../usage/usage-rules';
import { type LockedTenant, lockTenant, MAX_OFFERS, type Offer, type TicketRow } from './lines';
import { type Asker, newTicket, OFFER_MS, patienceOf, saveTicket, waitOf } from './tickets';

/** A change whose worker was not heard of for so long is lost. */
export const CHANGE_MS = 60_000;

/** Announces a change, or says why it cannot begin now. The id is the caller's, and new. */
export function* beginChange(
  { tenant: name, id, bytes }: SpaceChange & { readonly bytes: number },
  { blobBytes: limit }: Quotas,
): Rule<SpaceAnswer> {
  const { changes, reserved, counts, used } = yield* readSpace(name);
  if (used === null && changes === 0) {
    yield* noteChange({ tenant: name, id }, 0, true);
    return { kind: 'count', id };
  }
  if (limit === undefined) {
    // Nobody is held up where nothing depends on it: what is counted just now would be wrong, and is counted later.
    if (counts > 0) yield* execute('DELETE FROM beamline_blob_changes WHERE tenant = ? AND is_count = 1', name);
  } else if (used === null) return { kind: 'later' };
  else if (bytes > 0 && used + reserved + bytes > limit) return { kind: 'full', limit };
  yield* noteChange({ tenant: name, id }, bytes, false);
  return { kind: 'granted', id, isLimited: limit !== undefined, ...(limit !== undefined && { limit }) };
}

/** A step that found no room stands in a line for it, and gives its place among those that run to others. */
export function* waitForSpace(
  asker: Asker,
  needs: number,
  quotas: Quotas,
): Rule<{ readonly wait: QuotaWait; readonly offers: readonly Offer[] }> {
  const tenant = yield* lockTenant(asker.tenant);
  const own = newTicket(asker, tenant);
  const patienceMs = patienceOf('step', own, tenant);
  yield* saveTicket({ tenant, kind: 'space' }, own, { readyAt: 0, patienceMs, needs });
  // Room may have come since it was refused.
  const { blobBytes: limit } = quotas;
  const used = tenant.blob_bytes ?? undefined;
  const need = {
    reason: 'blobBytes' as const,
    ...(limit !== undefined && { limit }),
    ...(used !== undefined && { used }),
  };
  return {
    wait: waitOf(own, { now: tenant.now, afterMs: patienceMs }, need),
    offers: yield* offerSpace(tenant, quotas),
  };
}

/** Gives a change room for so many bytes in all, where there is. */
export function* extendChange(
  { tenant: name, id, bytes }: SpaceChange & { readonly bytes: number },
  { blobBytes: limit }: Quotas,
): Rule<{ isGranted: boolean; limit?: number }> {
  const { reserved, used } = yield* readSpace(name);
  const [own] = yield* query<{ bytes: number }>(
    'SELECT bytes FROM beamline_blob_changes WHERE tenant = ? AND id = ?',
    name,
    id,
  );
  const others = reserved - (own?.bytes ?? 0);
  // A change that is not known any more is counted at its end.
  if (limit !== undefined && used !== null && used + others + bytes > limit) return { isGranted: false, limit };
  yield* execute('UPDATE beamline_blob_changes SET bytes = ? WHERE tenant = ? AND id = ?', bytes, name, id);
  return { isGranted: true };
}

/** Takes what a change has done into account. One that was given up for lost has made the account wrong: it is taken anew. */
export function* endChange(
  { tenant: name, id, delta }: SpaceChange & { readonly delta: number },
  quotas: Quotas,
): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  const ended = yield* query('DELETE FROM beamline_blob_changes WHERE tenant = ? AND id = ? RETURNING id', name, id);
  if (ended.length === 0) {
    yield* setSpace(tenant, null);
    return [];
  }
  if (tenant.blob_bytes === null) return [];
  const used = Math.max(0, tenant.blob_bytes + delta);
  if (delta !== 0) yield* setSpace(tenant, used);
  return yield* offerSpace({ ...tenant, blob_bytes: used }, quotas);
}

/** The sum of all blobs, counted while nobody could change them. */
export function* endCount(
  { tenant: name, id, bytes }: SpaceChange & { readonly bytes: number },
  quotas: Quotas,
): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  const ended = yield* query(
    'DELETE FROM beamline_blob_changes WHERE tenant = ? AND id = ? AND is_count = 1 RETURNING id',
    name,
    id,
  );
  if (ended.length === 0) return [];
  yield* setSpace(tenant, bytes);
  return yield* offerSpace({ ...tenant, blob_bytes: bytes }, quotas);
}

/** The account is not right any more: the next change counts. */
export function* forgetSpace(name: string, id: string): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  yield* execute('DELETE FROM beamline_blob_changes WHERE tenant = ? AND id = ?', name, id);
  yield* setSpace(tenant, null);
  return [];
}

export function* renewChanges(changes: readonly SpaceChange[]): Rule<void> {
  for (const { tenant, id } of changes) {
    yield* execute(
      'UPDATE beamline_blob_changes SET expires_at = now_ms() + ? WHERE tenant = ? AND id = ?',
      CHANGE_MS,
      tenant,
      id,
    );
  }
}

/** As the review of a line: room may have come by a changed quota, or by changes that are lost. */
export function* reviewSpace(name: string, quotas: Quotas): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  const isLost = yield* dropLost(tenant);
  return yield* offerSpace(isLost ? { ...tenant, blob_bytes: null } : tenant, quotas);
}

/** Tells the first of those who wait for room, as far as it goes; a smaller one may go before a larger. */
function* offerSpace(
  tenant: LockedTenant,
  { blobBytes: limit = Number.MAX_SAFE_INTEGER }: Quotas,
): Rule<readonly Offer[]> {
  const { tenant: name, now, blob_bytes: used } = tenant;
  const room = limit - (used ?? 0);
  const waiting = yield* query<TicketRow & { readonly needs_bytes: number; readonly reserved: number }>(
    `SELECT ticket.*, changes.reserved FROM beamline_tickets AS ticket CROSS JOIN
         (SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS reserved FROM beamline_blob_changes WHERE tenant = ?) AS changes
       WHERE ticket.tenant = ? AND ticket.kind = 'space' AND ticket.offered_until <= ? AND ticket.expires_at > ?
         AND ticket.needs_bytes + changes.reserved <= ? ORDER BY ticket.priority, ticket.since, ticket.seq LIMIT ?`,
    name,
    name,
    now,
    now,
    room,
    MAX_OFFERS,
  );
  let free = room - (waiting[0]?.reserved ?? 0);
  const offers: Offer[] = [];
  for (const { id, namespace, flow_id: flowId, needs_bytes: needed } of waiting) {
    if (needed > free) continue;
    free -= needed;
    yield* execute(
      'UPDATE beamline_tickets SET offered_until = ? WHERE tenant = ? AND id = ?',
      tenant.now + OFFER_MS,
      tenant.tenant,
      id,
    );
    offers.push({ ticket: id, namespace, flowId, afterMs: 0 });
  }
  return offers;
}

interface Changes {
  readonly changes: number;
  readonly reserved: number;
  /** Of them, those that count. */
  readonly counts: number;
}

function* readSpace(name: string): Rule<Changes & { readonly used: number | null }> {
  const tenant = yield* lockTenant(name);
  const isLost = yield* dropLost(tenant);
  return { ...(yield* readChanges(name)), used: isLost ? null : tenant.blob_bytes };
}

function* readChanges(name: string): Rule<Changes> {
  const [row] = yield* query<{ changes: number; reserved: number | null; counts: number | null }>(
    `SELECT count(*) AS changes, CAST(sum(bytes) AS BIGINT) AS reserved, CAST(sum(is_count) AS BIGINT) AS counts
       FROM beamline_blob_changes WHERE tenant = ?`,
    name,
  );
  return { changes: row?.changes ?? 0, reserved: row?.reserved ?? 0, counts: row?.counts ?? 0 };
}

/** Changes that nobody reports on any more may have been made or not: true where there were some, and all is to be counted. */
function* dropLost(tenant: LockedTenant): Rule<boolean> {
  const lost = yield* query<{ is_count: number }>(
    'DELETE FROM beamline_blob_changes WHERE tenant = ? AND expires_at <= ? RETURNING is_count',
    tenant.tenant,
    tenant.now,
  );
  const isWrong = lost.some(({ is_count: isCount }) => isCount === 0);
  if (isWrong) yield* setSpace(tenant, null);
  return isWrong;
}

function* noteChange({ tenant, id }: SpaceChange, bytes: number, isCount: boolean): Rule<void> {
  yield* execute(
    'INSERT INTO beamline_blob_changes (tenant, id, bytes, is_count, expires_at) VALUES (?, ?, ?, ?, now_ms() + ?)',
    tenant,
    id,
    bytes,
    isCount ? 1 : 0,
    CHANGE_MS,
  );
}

function* setSpace({ tenant, now }: LockedTenant, bytes: number | null): Rule<void> {
  yield* execute('UPDATE beamline_tenants SET blob_bytes = ? WHERE tenant = ?', bytes, tenant);
  if (bytes === null) return;
  yield* execute(
    `INSERT INTO beamline_usage (tenant, day, blob_bytes) VALUES (?, ?, ?)
       ON CONFLICT (tenant, day) DO UPDATE SET blob_bytes = CASE
         WHEN excluded.blob_bytes > beamline_usage.blob_bytes THEN excluded.blob_bytes ELSE beamline_usage.blob_bytes END`,
    tenant,
    dayOf(now),
    bytes,
  );
}
