import { execute, query, type Rule } from '../state/rule';

/** What there are places for: a step that runs, a flow that is open. */
export type PlaceKind = 'step' | 'flow';

/** What tickets wait for: a place, or room for a blob. */
export type LineKind = PlaceKind | 'space';

/** How long a lease of a step outlives the last word of its worker. */
export const LEASE_MS = 30_000;

/** A flow's lease ends with the flow, however long that takes. */
export const FOREVER_MS = 8_640_000_000_000_000;

/** Offers of one transaction; the next one makes more. */
export const MAX_OFFERS = 100;

/** A tenant's row, locked until the end of the transaction, and the store's time. */
export interface LockedTenant {
  readonly tenant: string;
  readonly now: number;
  readonly next_seq: number;
  /** Steps at once, as flows were told last; -1: any number; null: never told. */
  readonly known_limit: number | null;
  readonly rate_next: number;
  readonly cpu_window: number;
  readonly cpu_window_ms: number;
  readonly cpu_used_ms: number;
  readonly blob_bytes: number | null;
}

/** Who stands in a line. */
export interface TicketRow {
  readonly id: string;
  readonly namespace: string;
  readonly flow_id: string;
  readonly priority: number;
  readonly since: number;
  readonly seq: number;
  readonly ready_at: number;
  readonly offered_until: number;
}

/** A flow, for signals. */
export interface FlowAddress {
  readonly namespace: string;
  readonly flowId: string;
}

/** Whose turn it is, and where to tell it. */
export interface Offer extends FlowAddress {
  readonly ticket: string;
  readonly afterMs: number;
}

/** Takes the tenant's row for this transaction: rules of one tenant run one after the other. To be done before anything else. */
export function* lockTenant(tenant: string): Rule<LockedTenant> {
  const [row] = yield* query<LockedTenant>(
    `INSERT INTO beamline_tenants (tenant) VALUES (?) ON CONFLICT (tenant) DO UPDATE SET tenant = excluded.tenant
     RETURNING tenant, next_seq, known_limit, rate_next, cpu_window, cpu_window_ms, cpu_used_ms, blob_bytes, now_ms() AS now`,
    tenant,
  );
  if (row === undefined) throw new Error(`the store has no row for tenant ${tenant}`);
  return row;
}

/** How many places are taken, and how many are set aside. */
export function* countPlaces({ tenant, now }: LockedTenant, kind: PlaceKind): Rule<{ leases: number; offers: number }> {
  const [row] = yield* query<{ leases: number; offers: number }>(
    `SELECT (SELECT count(*) FROM beamline_leases WHERE tenant = ? AND kind = ? AND expires_at > ?) AS leases,
      (SELECT count(*) FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until > ?) AS offers`,
    tenant,
    kind,
    now,
    tenant,
    kind,
    now,
  );
  return row ?? { leases: 0, offers: 0 };
}

/** Those who count in a line, and the ticket of one of them where it has one. */
export interface LineState {
  readonly leases: number;
  /** Places that are set aside for others. */
  readonly offers: number;
  /** 0 where nobody stands in the line. */
  readonly waiting: number;
  readonly ticket: TicketRow | undefined;
}

/** As {@link countPlaces}, with what else there is to know for who asks; one statement, since most find a place at once. */
export function* readLine({ tenant, now }: LockedTenant, kind: PlaceKind, id: string): Rule<LineState> {
  const [row] = yield* query<Omit<LineState, 'ticket'> & Omit<TicketRow, 'id'> & { readonly id: string | null }>(
    `SELECT counts.leases, counts.offers, counts.waiting, own.id, own.namespace, own.flow_id, own.priority, own.since,
        own.seq, own.ready_at, own.offered_until
       FROM (SELECT
         (SELECT count(*) FROM beamline_leases WHERE tenant = ? AND kind = ? AND expires_at > ?) AS leases,
         (SELECT count(*) FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until > ? AND id <> ?) AS offers,
         (SELECT count(*) FROM (SELECT 1 AS one FROM beamline_tickets WHERE tenant = ? AND kind = ? LIMIT 1) AS first) AS waiting
       ) AS counts LEFT JOIN beamline_tickets AS own ON own.tenant = ? AND own.id = ? AND own.kind = ?`,
    ...[tenant, kind, now],
    ...[tenant, kind, now, id],
    ...[tenant, kind],
    ...[tenant, id, kind],
  );
  const { leases = 0, offers = 0, waiting = 0, id: found = null, ...ticket } = row ?? {};
  return { leases, offers, waiting, ticket: found === null ? undefined : ({ id: found, ...ticket } as TicketRow) };
}

/** How many of those who stand before it in the line have no offer, at most `limit`. */
export function* countAhead(
  { tenant, now }: LockedTenant,
  kind: PlaceKind,
  { priority, since, seq }: Pick<TicketRow, 'priority' | 'since' | 'seq'>,
  limit: number,
): Rule<number> {
  const [row] = yield* query<{ ahead: number }>(
    `SELECT count(*) AS ahead FROM (
       SELECT 1 AS one FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until = 0
         AND (priority, since, seq) < (?, ?, ?) AND expires_at > ? LIMIT ?) AS line`,
    tenant,
    kind,
    priority,
    since,
    seq,
    now,
    limit,
  );
  return row?.ahead ?? 0;
}

/** Places that are set aside for those before it in the line. */
export function* countOffersAhead(
  { tenant, now }: LockedTenant,
  kind: PlaceKind,
  { priority, since, seq }: TicketRow,
): Rule<number> {
  const [row] = yield* query<{ ahead: number }>(
    `SELECT count(*) AS ahead FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until > ?
       AND (priority, since, seq) < (?, ?, ?)`,
    tenant,
    kind,
    now,
    priority,
    since,
    seq,
  );
  return row?.ahead ?? 0;
}

/** Takes offers back from the last in the line: somebody before them came for a place that he had missed. */
export function* revokeLastOffers({ tenant, now }: LockedTenant, kind: PlaceKind, count: number): Rule<void> {
  if (count <= 0) return;
  const last = yield* query<{ id: string }>(
    `SELECT id FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until > ?
       ORDER BY priority DESC, since DESC, seq DESC LIMIT ?`,
    tenant,
    kind,
    now,
    count,
  );
  for (const { id } of last)
    yield* execute(
      'UPDATE beamline_tickets SET offered_until = 0, ready_at = 0 WHERE tenant = ? AND id = ?',
      tenant,
      id,
    );
}

/** Puts those back in line whom nobody could tell that it was their turn. */
export function* withdrawOffers(tenant: string, tickets: readonly string[]): Rule<void> {
  yield* lockTenant(tenant);
  for (const id of tickets)
    yield* execute(
      'UPDATE beamline_tickets SET offered_until = 0, ready_at = 0 WHERE tenant = ? AND id = ?',
      tenant,
      id,
    );
}
