import type { QuotaNeed, QuotaWait } from '../../dsl/quota';
import { execute, type Rule } from '../state/rule';
import type { LineKind, LockedTenant, PlaceKind, TicketRow } from './lines';

/**
 * How long a place is set aside for whose turn it is: a signal, a workflow task, a way through a full task queue. Longer than a flow
 * takes to leave a worker that has died (sticky task queue, 10 s).
 */
export const OFFER_MS = 15_000;

/** When those in line ask again by themselves: as late again as they have waited, within these. Signals wake them before. */
export const MIN_PATIENCE_MS = 60_000;
const MAX_PATIENCE_MS = { step: 900_000, flow: 21_600_000 } as const;

/** A ticket is dropped so long after its flow should have asked again. */
const TICKET_GRACE_MS = 600_000;

/** Who asks for a place. */
export interface Asker {
  readonly tenant: string;
  readonly kind: PlaceKind;
  /** Its place in the line, where it gets or has one. */
  readonly ticket: string;
  /** When it asked first, where that was before, in ms since 1970. */
  readonly since?: number;
  /** Id of the lease that it gets. */
  readonly lease: string;
  readonly worker: string;
  readonly namespace: string;
  /** Workflow that is told when it is its turn. */
  readonly flowId: string;
  /** 1 goes first. */
  readonly priority: number;
}

/** A ticket of who has none, or whose ticket is gone. */
export function newTicket(
  { ticket, namespace, flowId, priority, since }: Asker,
  { now, next_seq: seq }: LockedTenant,
): TicketRow {
  return {
    id: ticket,
    namespace,
    flow_id: flowId,
    priority,
    since: Math.min(now, Math.round(since ?? now)),
    seq,
    ready_at: 0,
    offered_until: 0,
  };
}

/** True for who has missed an offer. */
export function hasLapsed({ offered_until: until }: TicketRow, { now }: LockedTenant): boolean {
  return until > 0 && until <= now;
}

/** The longer one has waited, the later it asks by itself. */
export function patienceOf(kind: PlaceKind, { since }: TicketRow, { now }: LockedTenant): number {
  return Math.min(MAX_PATIENCE_MS[kind], Math.max(MIN_PATIENCE_MS, now - since));
}

/** `readyAt`: from when on the place that is set aside may be taken; 0 where there is none. */
export function* saveTicket(
  { tenant: { tenant, now }, kind }: { readonly tenant: LockedTenant; readonly kind: LineKind },
  { id, namespace, flow_id, priority, since, seq }: TicketRow,
  { readyAt, patienceMs, needs = 0 }: { readyAt: number; patienceMs: number; needs?: number },
): Rule<void> {
  const offeredUntil = readyAt === 0 ? 0 : readyAt + OFFER_MS;
  const expiresAt = Math.ceil(now + patienceMs + TICKET_GRACE_MS);
  yield* execute(
    `INSERT INTO beamline_tickets
       (tenant, id, kind, namespace, flow_id, priority, since, seq, ready_at, offered_until, needs_bytes, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (tenant, id) DO UPDATE SET
         kind = excluded.kind, priority = excluded.priority, needs_bytes = excluded.needs_bytes,
         ready_at = excluded.ready_at, offered_until = excluded.offered_until, expires_at = excluded.expires_at`,
    tenant,
    id,
    kind,
    namespace,
    flow_id,
    priority,
    since,
    seq,
    readyAt,
    offeredUntil,
    needs,
    expiresAt,
  );
  yield* execute('UPDATE beamline_tenants SET next_seq = ? WHERE tenant = ? AND next_seq = ?', seq + 1, tenant, seq);
}

/** What the flow is told. */
export function waitOf(
  { id, since }: TicketRow,
  { now, afterMs }: { now: number; afterMs: number },
  need: QuotaNeed,
): QuotaWait {
  return { ticket: id, since, saidAt: now, afterMs: Math.ceil(afterMs), ...need };
}
