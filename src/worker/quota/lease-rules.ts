import { execute, query, type Rule } from '../state/rule';
import { LEASE_MS, lockTenant } from './lines';

/** A lease of a step that runs on this worker. */
export interface HeldLease {
  readonly id: string;
  readonly tenant: string;
  readonly worker: string;
  readonly namespace: string;
  readonly flowId: string;
}

/** What was counted once may be reported again by a repeated attempt; so long it is remembered. */
const COUNTED_FOR_MS = 3 * 86_400_000;

/** A report whose answer was lost is repeated as soon as the store is back; so long the store may be away. */
const CHARGED_FOR_MS = 86_400_000;

/** How long an open flow is believed to be open, and how many are asked about at once. */
const CHECK_AFTER_MS = 60_000;
export const CHECKED_AT_ONCE = 20;

/** Leases of one statement. */
const RENEWED_AT_ONCE = 50;

/** Rows that one transaction removes. */
const PRUNED_AT_ONCE = 2_000;

/**
 * Makes leases last on, and gives those that are not there any more. Never makes one: a step may end meanwhile, and its lease would be
 * brought back by a statement that was on its way.
 */
export function* renewLeases(leases: readonly HeldLease[]): Rule<readonly HeldLease[]> {
  const renewed = new Set<string>();
  for (let from = 0; from < leases.length; from += RENEWED_AT_ONCE) {
    // Always as many values, so that it is one statement to the driver.
    const ids = Array.from({ length: RENEWED_AT_ONCE }, (_, index) => leases[from + index]?.id ?? '');
    const rows = yield* query<{ id: string }>(
      `UPDATE beamline_leases SET expires_at = now_ms() + ? WHERE id IN (${ids.map(() => '?').join(', ')}) RETURNING id`,
      LEASE_MS,
      ...ids,
    );
    for (const { id } of rows) renewed.add(id);
  }
  return leases.filter(({ id }) => !renewed.has(id));
}

/**
 * Makes a tenant's leases again that have expired while their steps ran on, since this worker or the store stood still: what runs has to
 * count. `isHeld` is asked once the tenant's row is locked: whoever ends a step says so first, and removes the lease under that lock.
 */
export function* restoreLeases(
  name: string,
  leases: readonly HeldLease[],
  isHeld: (id: string) => boolean,
): Rule<void> {
  yield* lockTenant(name);
  for (const { id, tenant, worker, namespace, flowId } of leases) {
    if (!isHeld(id)) continue;
    yield* execute(
      `INSERT INTO beamline_leases (id, tenant, kind, worker, namespace, flow_id, expires_at)
         VALUES (?, ?, 'step', ?, ?, ?, now_ms() + ?) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
      id,
      tenant,
      worker,
      namespace,
      flowId,
      LEASE_MS,
    );
  }
}

/** Flows that nobody has looked at for a while, taken so that no other worker looks at the same time. */
export function* takeUncheckedFlows(): Rule<
  readonly { readonly id: string; readonly tenant: string; readonly namespace: string; readonly flow_id: string }[]
> {
  const [due] = yield* query(
    "SELECT 1 AS one FROM beamline_leases WHERE kind = 'flow' AND checked_at < now_ms() - ? LIMIT 1",
    CHECK_AFTER_MS,
  );
  if (due === undefined) return [];
  return yield* query(
    `UPDATE beamline_leases SET checked_at = now_ms() WHERE id IN
       (SELECT id FROM beamline_leases WHERE kind = 'flow' AND checked_at < now_ms() - ? ORDER BY checked_at LIMIT ?)
       RETURNING id, tenant, namespace, flow_id`,
    CHECK_AFTER_MS,
    CHECKED_AT_ONCE,
  );
}

/** Removes what has expired; false where more is left. */
export function* pruneExpired(): Rule<boolean> {
  yield* execute('DELETE FROM beamline_leases WHERE expires_at <= now_ms()');
  yield* execute('DELETE FROM beamline_tickets WHERE expires_at <= now_ms()');
  const counted = yield* query(
    `DELETE FROM beamline_counted WHERE id IN
       (SELECT id FROM beamline_counted WHERE counted_at < now_ms() - ? ORDER BY counted_at LIMIT ?) RETURNING id`,
    COUNTED_FOR_MS,
    PRUNED_AT_ONCE,
  );
  const charged = yield* query(
    `DELETE FROM beamline_charged WHERE id IN
       (SELECT id FROM beamline_charged WHERE charged_at < now_ms() - ? ORDER BY charged_at LIMIT ?) RETURNING id`,
    CHARGED_FOR_MS,
    PRUNED_AT_ONCE,
  );
  return counted.length < PRUNED_AT_ONCE && charged.length < PRUNED_AT_ONCE;
}
