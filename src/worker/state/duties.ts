import { execute, query, type Rule } from './rule';

/** How long a duty stays with a worker of whom nothing is heard. */
export const DUTY_MS = 10_000;

/** What must be left of a duty; with less its holder takes it anew: so one that lives is never taken for dead, and writes twice in a duty's time. */
export const MIN_DUTY_LEFT_MS = DUTY_MS * 0.7;

/**
 * What one worker does for all: look at the lines, publish to NATS, show the figures of tenants; show those of the flows of a namespace
 * and queue prefix, of which several may share a store.
 */
export type DutyName = 'review' | 'publish' | 'tenantFigures' | `flowFigures:${string}` | `try:${string}`;

/** Who has the duty, as of now. */
export interface Duty {
  readonly now: number;
  /** Somebody else has it. */
  readonly isOthers: boolean;
  /** How long it is the worker's own still. */
  readonly leftMs: number;
}

/** Looks who has a duty. Reads only. */
export function* readDuty(duty: DutyName, worker: string): Rule<Duty> {
  const [row] = yield* query<{ now: number; holder: string | null; until: number | null }>(
    `SELECT clock.now, duty.holder, duty.expires_at AS until FROM (SELECT now_ms() AS now) AS clock
       LEFT JOIN beamline_duties AS duty ON duty.name = ?`,
    duty,
  );
  const { now, holder, until } = row ?? { now: 0, holder: null, until: null };
  const leftMs = Math.max(0, (until ?? now) - now);
  return { now, isOthers: leftMs > 0 && holder !== worker, leftMs: holder === worker ? leftMs : 0 };
}

/** Takes the duty, or keeps it for longer; false where somebody else has it. */
export function* takeDuty(duty: DutyName, worker: string): Rule<boolean> {
  const taken = yield* query(
    `INSERT INTO beamline_duties (name, holder, expires_at) VALUES (?, ?, now_ms() + ?)
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
         WHERE beamline_duties.holder = excluded.holder OR beamline_duties.expires_at <= now_ms()
       RETURNING holder`,
    duty,
    worker,
    DUTY_MS,
  );
  return taken.length > 0;
}

/** Leaves the duty to others, at once. */
export function* leaveDuty(duty: DutyName, worker: string): Rule<void> {
  yield* execute('DELETE FROM beamline_duties WHERE name = ? AND holder = ?', duty, worker);
}

/** Writes and leaves nothing behind: says whether the store takes writes, which reading does not. */
export function* tryWrite(worker: string): Rule<void> {
  yield* takeDuty(`try:${worker}`, worker);
  yield* leaveDuty(`try:${worker}`, worker);
}
