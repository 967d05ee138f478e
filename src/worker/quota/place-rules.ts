import type { QuotaNeed, QuotaReason, QuotaWait } from '../../dsl/quota';
import type { Quotas } from '../policy/policy';
import { execute, query, type Rule } from '../state/rule';
import { knownLimitOf, LineLimits } from './line-limits';
import {
  countAhead,
  countOffersAhead,
  countPlaces,
  type FlowAddress,
  FOREVER_MS,
  LEASE_MS,
  type LineKind,
  type LineState,
  type LockedTenant,
  lockTenant,
  MAX_OFFERS,
  type Offer,
  type PlaceKind,
  readLine,
  revokeLastOffers,
  type TicketRow,
} from './lines';
import { openCpuWindow } from './rates';
import { type Asker, hasLapsed, MIN_PATIENCE_MS, newTicket, OFFER_MS, patienceOf, saveTicket, waitOf } from './tickets';

/** What becomes of who asked, and whose turn it is beside. */
export interface Verdict {
  /** Absent: the place is given. */
  readonly wait?: QuotaWait;
  /** True where there is a lease to be renewed and released. */
  readonly isLeased: boolean;
  readonly offers: readonly Offer[];
}

/**
 * Gives a place within the tenant's quotas, or one in the line: by priority, then by arrival. A place is given where one is
 * free that is not set aside for somebody, and nobody in the line comes first. Who comes for an offer that has lapsed takes the
 * place of those behind him.
 */
export function* askForPlace(asker: Asker, quotas: Quotas): Rule<Verdict> {
  const locked = yield* lockTenant(asker.tenant);
  const tenant = asker.kind === 'step' ? yield* openCpuWindow(locked, quotas) : locked;
  if (asker.kind === 'step' && tenant.known_limit === null) yield* noteLimit(tenant, quotas);
  if (asker.kind === 'flow' && (yield* hasLease(asker))) return { isLeased: true, offers: [] };
  const state = yield* readLine(tenant, asker.kind, asker.ticket);
  const own = state.ticket ?? newTicket(asker, tenant);
  const line = new LineLimits(tenant, asker.kind, quotas);
  if (line.exhaustedUntil !== undefined) {
    const afterMs = line.exhaustedUntil - tenant.now + MIN_PATIENCE_MS;
    return yield* putInLine(line, own, line.need('cpuTime', state), afterMs);
  }
  const isOffered = own.offered_until > tenant.now;
  const obstacle = yield* findObstacle(line, state, own);
  if (obstacle !== undefined) return yield* putInLine(line, own, line.need(obstacle, state));
  const readyAt = isOffered ? own.ready_at : line.clock.nextAt;
  if (readyAt === undefined) return yield* putInLine(line, own, line.need('stepsPerSecond', state));
  if (!isOffered) line.clock.take();
  yield* line.clock.save();
  if (readyAt <= tenant.now) return yield* givePlace(line, asker, state);
  if (!isOffered) yield* saveTicket(line, own, { readyAt, patienceMs: readyAt - tenant.now });
  const wait = waitOf(own, { now: tenant.now, afterMs: readyAt - tenant.now }, line.need('stepsPerSecond', state));
  return { wait, isLeased: false, offers: [] };
}

/** What it has to wait for; undefined where there is a place for it, and for all who come first. */
function* findObstacle(line: LineLimits, state: LineState, own: TicketRow): Rule<QuotaReason | undefined> {
  const { tenant, kind, limit, clock, reason } = line;
  const isLimited = limit !== Number.POSITIVE_INFINITY;
  const isLate = isLimited && hasLapsed(own, tenant);
  const blocking = isLate ? yield* countOffersAhead(tenant, kind, own) : state.offers;
  const free = limit - state.leases - blocking;
  if (free < 1) return reason;
  if (state.waiting === 0 || own.offered_until > tenant.now) return undefined;
  // Times are given out in order, however many places there are: else newcomers take each that comes up.
  if (clock.isLimiting) return (yield* countAhead(tenant, kind, own, 1)) > 0 ? 'stepsPerSecond' : undefined;
  if (!isLimited) return undefined;
  return free - (yield* countAhead(tenant, kind, own, clampLimit(free))) >= 1 ? undefined : reason;
}

function* givePlace({ tenant, kind, limit }: LineLimits, asker: Asker, { leases, offers }: LineState): Rule<Verdict> {
  const isLeased = limit !== Number.POSITIVE_INFINITY;
  if (isLeased) {
    yield* giveLease(asker, tenant.now);
    yield* revokeLastOffers(tenant, kind, leases + 1 + offers - limit);
  }
  yield* execute('DELETE FROM beamline_tickets WHERE tenant = ? AND id = ?', asker.tenant, asker.ticket);
  return { isLeased, offers: [] };
}

/** Gives an open flow its place where it has none: what runs counts, as after a reset of a flow that had ended. */
export function* holdPlace(asker: Asker): Rule<void> {
  if (yield* hasLease(asker)) return;
  const { now } = yield* lockTenant(asker.tenant);
  yield* giveLease(asker, now);
}

/** Gives the place of a flow back, or its place in the line, and says whose turn it is then. */
export function* releasePlace(name: string, place: string, quotas: Quotas): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  yield* execute('DELETE FROM beamline_leases WHERE tenant = ? AND id = ?', name, place);
  yield* execute('DELETE FROM beamline_tickets WHERE tenant = ? AND id = ?', name, place);
  return yield* offerPlaces(tenant, 'flow', quotas);
}

/** Takes tickets out of the line, of steps that are not wanted any more. */
export function* leaveLine(
  { tenant: name, kind, tickets }: { tenant: string; kind: LineKind; tickets: readonly string[] },
  quotas: Quotas,
): Rule<readonly Offer[]> {
  const tenant = yield* lockTenant(name);
  for (const ticket of tickets) {
    yield* execute('DELETE FROM beamline_tickets WHERE tenant = ? AND id = ?', name, ticket);
  }
  return kind === 'space' ? [] : yield* offerPlaces(tenant, kind, quotas);
}

/** What a look at a tenant's line gives. */
export interface Review {
  readonly offers: readonly Offer[];
  /** Flows that have to hear how many steps may run at once: it has changed. */
  readonly news: readonly FlowAddress[];
}

/** Looks whether somebody in the tenant's line may go: leases and offers lapse, windows end, quotas change. */
export function* reviewLine(name: string, kind: PlaceKind, quotas: Quotas): Rule<Review> {
  const tenant = yield* lockTenant(name);
  const news = kind === 'step' ? yield* findUninformed(tenant, quotas) : [];
  return { offers: yield* offerPlaces(tenant, kind, quotas), news };
}

/** A flow does not send out more steps than may run at once, so that it has to hear when these become more. */
function* findUninformed(locked: LockedTenant, quotas: Quotas): Rule<readonly FlowAddress[]> {
  const { tenant, known_limit: known } = locked;
  if (known === knownLimitOf(quotas)) return [];
  yield* noteLimit(locked, quotas);
  if (known === null) return [];
  const flows = yield* query<{ namespace: string; flow_id: string }>(
    `SELECT namespace, flow_id FROM beamline_leases WHERE tenant = ? AND kind = 'step'
       UNION SELECT namespace, flow_id FROM beamline_tickets WHERE tenant = ? AND kind = 'step'`,
    tenant,
    tenant,
  );
  return flows.map(({ namespace, flow_id: flowId }) => ({ namespace, flowId }));
}

/** A flow asks again where it never heard that it has its place. */
function* hasLease({ lease, tenant }: Asker): Rule<boolean> {
  return (yield* query('SELECT 1 AS one FROM beamline_leases WHERE id = ? AND tenant = ?', lease, tenant)).length > 0;
}

function* noteLimit({ tenant }: LockedTenant, quotas: Quotas): Rule<void> {
  yield* execute('UPDATE beamline_tenants SET known_limit = ? WHERE tenant = ?', knownLimitOf(quotas), tenant);
}

/** Sets free places aside for the first in the line; those who missed an offer come last. */
export function* offerPlaces(locked: LockedTenant, kind: PlaceKind, quotas: Quotas): Rule<readonly Offer[]> {
  const waiting = yield* query(
    'SELECT 1 AS one FROM beamline_tickets WHERE tenant = ? AND kind = ? LIMIT 1',
    locked.tenant,
    kind,
  );
  if (waiting.length === 0) return [];
  const tenant = kind === 'step' ? yield* openCpuWindow(locked, quotas) : locked;
  const line = new LineLimits(tenant, kind, quotas);
  if (line.exhaustedUntil !== undefined) return [];
  const { leases, offers: setAside } = yield* countPlaces(tenant, kind);
  const free = clampLimit(Math.min(MAX_OFFERS, line.limit - leases - setAside));
  if (free <= 0) return [];
  const offers: Offer[] = [];
  for (const ticket of yield* firstInLine(tenant, kind, free)) {
    const readyAt = line.clock.nextAt;
    if (readyAt === undefined) break;
    line.clock.take();
    yield* execute(
      'UPDATE beamline_tickets SET ready_at = ?, offered_until = ? WHERE tenant = ? AND id = ?',
      readyAt,
      readyAt + OFFER_MS,
      tenant.tenant,
      ticket.id,
    );
    const { id, namespace, flow_id: flowId } = ticket;
    offers.push({ ticket: id, namespace, flowId, afterMs: readyAt - tenant.now });
  }
  yield* line.clock.save();
  return offers;
}

function* firstInLine({ tenant, now }: LockedTenant, kind: PlaceKind, count: number): Rule<readonly TicketRow[]> {
  const fresh = yield* query<TicketRow>(
    `SELECT * FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until = 0 AND expires_at > ?
       ORDER BY priority, since, seq LIMIT ?`,
    tenant,
    kind,
    now,
    count,
  );
  if (fresh.length === count) return fresh;
  const lapsed = yield* query<TicketRow>(
    `SELECT * FROM beamline_tickets WHERE tenant = ? AND kind = ? AND offered_until > 0 AND offered_until <= ?
       AND expires_at > ? ORDER BY offered_until, priority, since, seq LIMIT ?`,
    tenant,
    kind,
    now,
    now,
    count - fresh.length,
  );
  return [...fresh, ...lapsed];
}

function* putInLine(line: LineLimits, own: TicketRow, need: QuotaNeed, afterMs?: number): Rule<Verdict> {
  const { tenant, kind, quotas } = line;
  const patienceMs = afterMs ?? patienceOf(kind, own, tenant);
  yield* saveTicket(line, own, { readyAt: 0, patienceMs });
  // Leases may have expired since: then it is the turn of those before it.
  const offers = yield* offerPlaces(tenant, kind, quotas);
  return { wait: waitOf(own, { now: tenant.now, afterMs: patienceMs }, need), isLeased: false, offers };
}

function* giveLease({ lease, tenant, kind, worker, namespace, flowId }: Asker, now: number): Rule<void> {
  yield* execute(
    `INSERT INTO beamline_leases (id, tenant, kind, worker, namespace, flow_id, expires_at, checked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
    lease,
    tenant,
    kind,
    worker,
    namespace,
    flowId,
    kind === 'flow' ? FOREVER_MS : now + LEASE_MS,
    now,
  );
}

/** As SQL's LIMIT takes it. */
function clampLimit(count: number): number {
  return Math.min(count, 1_000_000_000);
}
