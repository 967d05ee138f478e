import type { StepUsage } from '../../activities/step-meter';
import { execute, query, type Rule } from '../state/rule';

/**
 * How an activity ended for its step: as completed, or as failed for good. `none`: the step did not end with it, since it was sent back to wait, or
 * cancelled.
 */
export type StepEnd = 'completed' | 'failed' | 'none';

/** How an attempt ended. */
export interface AttemptEnd {
  /** Of the activity, `runId:activityId`: what ends once counts once, however often it is reported. */
  readonly id: string;
  /** Of the activity, from 1. */
  readonly attempt: number;
  /** Absent where the activity goes on with another attempt, or nobody knows yet. */
  readonly end?: StepEnd;
}

/** What is to be counted of a tenant. */
export interface UsageEntry extends AttemptEnd {
  readonly tenant: string;
  readonly usage?: StepUsage;
}

/** What is added to a tenant's day. */
interface Counts {
  readonly steps?: number;
  readonly failures?: number;
  readonly approvals?: number;
  readonly usage?: StepUsage | undefined;
}

/** Adds attempts to their tenant's day; `usage` is what they used together. Of a step's end counts what the newest attempt says. */
export function* countAttempts(
  tenant: string,
  attempts: readonly AttemptEnd[],
  usage: StepUsage | undefined,
): Rule<void> {
  const days = new Map<string, Counts>();
  const add = (ms: number, counts: Counts): void => {
    days.set(dayOf(ms), sumOf(days.get(dayOf(ms)), counts));
  };
  let now: number | undefined;
  // Rows in one order, whatever ended first: the same attempts may be reported twice at once, and neither may wait for the other then.
  const ended = attempts.filter(canCount).sort((left, right) => (left.id < right.id ? -1 : 1));
  const counted = yield* countOnce(ended.map(({ id, attempt, end }) => ({ id, attempt, outcome: end })));
  for (const { id, attempt, end } of ended) {
    const countedAt = counted.get(id);
    if (countedAt === undefined) yield* correctEnd({ id, attempt, end }, add);
    else add(countedAt, countsOf(end, 1));
    // Whoever else has the same id finds it counted.
    counted.delete(id);
    now = countedAt ?? now;
  }
  if (!isNothing(usage)) {
    const today = dayOf(now ?? (yield* readClock()));
    days.set(today, { ...days.get(today), usage });
  }
  // After them, and in one order, too.
  for (const day of [...days.keys()].sort()) yield* addToDay(tenant, day, days.get(day) ?? {});
}

/** No attempt before the first can have been counted: where that did not end its step, there is nothing to take back. */
function canCount(attempt: AttemptEnd): attempt is Required<AttemptEnd> {
  return attempt.end !== undefined && !(attempt.end === 'none' && attempt.attempt === 1);
}

/** What an attempt used is added once, however often it is reported: this names the report. */
export interface Charge {
  readonly id: string;
  /** It may have been done: the store's answer was lost. */
  readonly isRepeat: boolean;
}

/**
 * True where the charge has not been made; it is remembered with it. Only a repeat has to look, so that no other waits for an answer: a first
 * report that comes after its own repeat, held up on the way, fails as a whole.
 */
export function* chargeOnce({ id, isRepeat }: Charge): Rule<boolean> {
  const insert = 'INSERT INTO beamline_charged (id, charged_at) VALUES (?, now_ms())';
  if (isRepeat) return (yield* query(`${insert} ON CONFLICT (id) DO NOTHING RETURNING id`, id)).length > 0;
  yield* execute(insert, id);
  return true;
}

/** True where there is nothing to be added. */
export function isNothing(usage: StepUsage | undefined): boolean {
  return usage === undefined || Object.values(usage).every((value) => value === 0);
}

/** Counts an approval that was asked for. */
export function* countApproval({ tenant, id }: { tenant: string; id: string }): Rule<void> {
  const countedAt = (yield* countOnce([{ id, outcome: 'approval', attempt: 1 }])).get(id);
  if (countedAt !== undefined) yield* addToDay(tenant, dayOf(countedAt), { approvals: 1 });
}

/** What is counted once, by its id. */
interface Counted {
  readonly id: string;
  readonly outcome: string;
  readonly attempt: number;
}

/** Of one statement. Each number of rows is a text of its own, which a store keeps. */
const MAX_ROWS = 50;

/** The store's time for each id that it has heard of for the first time. */
function* countOnce(rows: readonly Counted[]): Rule<Map<string, number>> {
  const times = new Map<string, number>();
  for (let start = 0; start < rows.length; start += MAX_ROWS) {
    const some = rows.slice(start, start + MAX_ROWS);
    const counted = yield* query<{ id: string; counted_at: number }>(
      `INSERT INTO beamline_counted (id, outcome, attempt, counted_at) VALUES ${some.map(() => '(?, ?, ?, now_ms())').join(', ')}
         ON CONFLICT (id) DO NOTHING RETURNING id, counted_at`,
      ...some.flatMap(({ id, outcome, attempt }) => [id, outcome, attempt]),
    );
    for (const { id, counted_at } of counted) times.set(id, counted_at);
  }
  return times;
}

/** An attempt whose report was lost is made again, and may end another way, or not end the step at all. `add` is told what changes. */
function* correctEnd(
  { id, attempt, end }: Required<AttemptEnd>,
  add: (countedAt: number, counts: Counts) => void,
): Rule<void> {
  // Keeps others from the row until all is written, and gives what it had.
  const [counted] = yield* query<{ outcome: StepEnd; counted_at: number }>(
    'UPDATE beamline_counted SET attempt = ? WHERE id = ? AND attempt <= ? RETURNING outcome, counted_at',
    attempt,
    id,
    attempt,
  );
  if (counted === undefined || counted.outcome === end) return;
  yield* execute('UPDATE beamline_counted SET outcome = ? WHERE id = ?', end, id);
  add(counted.counted_at, countsOf(counted.outcome, -1));
  add(counted.counted_at, countsOf(end, 1));
}

function countsOf(end: StepEnd, count: number): Counts {
  if (end === 'none') return {};
  return end === 'completed' ? { steps: count } : { failures: count };
}

function sumOf(sum: Counts | undefined, { steps = 0, failures = 0 }: Counts): Counts {
  return { ...sum, steps: (sum?.steps ?? 0) + steps, failures: (sum?.failures ?? 0) + failures };
}

function* addToDay(tenant: string, day: string, { steps = 0, failures = 0, approvals = 0, usage }: Counts): Rule<void> {
  yield* execute(
    `INSERT INTO beamline_usage (tenant, day, steps, failures, approvals, cpu_ms, peak_memory_bytes, bytes_in, bytes_out)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (tenant, day) DO UPDATE SET
         steps = beamline_usage.steps + excluded.steps,
         failures = beamline_usage.failures + excluded.failures,
         approvals = beamline_usage.approvals + excluded.approvals,
         cpu_ms = beamline_usage.cpu_ms + excluded.cpu_ms,
         peak_memory_bytes = CASE WHEN excluded.peak_memory_bytes > beamline_usage.peak_memory_bytes
           THEN excluded.peak_memory_bytes ELSE beamline_usage.peak_memory_bytes END,
         bytes_in = beamline_usage.bytes_in + excluded.bytes_in,
         bytes_out = beamline_usage.bytes_out + excluded.bytes_out`,
    tenant,
    day,
    steps,
    failures,
    approvals,
    usage?.cpuMs ?? 0,
    Math.round(usage?.peakMemoryBytes ?? 0),
    Math.round(usage?.bytesIn ?? 0),
    Math.round(usage?.bytesOut ?? 0),
  );
}

function* readClock(): Rule<number> {
  const [row] = yield* query<{ now: number }>('SELECT now_ms() AS now');
  return row?.now ?? 0;
}

/** Day in UTC, as ISO 8601 writes it. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
