import type { Logger } from '../logger';
import type { Conditions, Part } from './conditions';

/** What the log says of parts whose own code does not say it. `state_store`: who wants something of it tells that it is away. */
const LINES: Partial<Readonly<Record<Part, { readonly away?: string; readonly back: string }>>> = {
  state_store: { back: 'the state store answers again' },
  temporal: { away: 'Temporal does not answer', back: 'Temporal answers again' },
  blob_store: { away: 'the blob store cannot be used', back: 'the blob store can be used again' },
  metrics: { away: 'a part of the metrics is missing', back: 'the metrics are complete again' },
};

/** Pause between two lines that say that the same part is away, so that one that comes and goes does not fill the log. */
const SAY_AGAIN_MS = 30_000;

/** Writes a line where a part ceases to work, and one where it works again. */
export function logConditions(conditions: Conditions, logger: Logger): void {
  const saidAt = new Map<Part, number>();
  /** Those that the log has as away. */
  const away = new Set<Part>();
  const late = new Set<Part>();
  const sayAway = (part: Part): void => {
    const now = conditions.find(part);
    if (now === undefined || away.has(part)) return;
    away.add(part);
    saidAt.set(part, Date.now());
    const text = LINES[part]?.away;
    if (text !== undefined) logger.log('warn', text, { part, error: now.message });
  };
  conditions.onChange((part, now, before) => {
    const lines = LINES[part];
    if (lines === undefined) return;
    if (now === undefined) {
      if (before === undefined || !away.delete(part)) return;
      logger.log('info', lines.back, { part, away_ms: Date.now() - before.since });
      return;
    }
    const waitMs = (saidAt.get(part) ?? Number.NEGATIVE_INFINITY) + SAY_AGAIN_MS - Date.now();
    if (waitMs <= 0) return sayAway(part);
    if (late.has(part)) return;
    late.add(part);
    const timer = setTimeout(() => {
      late.delete(part);
      sayAway(part);
    }, waitMs);
    timer.unref();
  });
}
