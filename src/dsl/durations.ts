import { describeJsonType, isJsonObject, type Json } from './json';
import { shortText } from './problems';

const MS = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1_000, milliseconds: 1 } as const;

/** ISO 8601: weeks, days, hours, minutes, seconds; years and months have no fixed length and are refused. */
export const ISO_DURATION =
  /^P(?!$)(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

/** Longest duration that is understood: 10 years. Temporal's timers hold longer, a mistake is likelier. */
const MAX_DURATION_MS = 10 * 365 * MS.days;

/** A duration in milliseconds, or what is wrong with it. */
export type ParsedDuration = { readonly ms: number } | { readonly problem: string };

/**
 * Reads a duration in one of OWS's two literal forms (dsl-reference, "Duration"): ISO 8601 text, or an object of
 * days, hours, minutes, seconds, milliseconds.
 */
export function parseDuration(value: Json): ParsedDuration {
  const parsed = typeof value === 'string' ? parseIsoDuration(value) : parseObjectDuration(value);
  if ('ms' in parsed && parsed.ms > MAX_DURATION_MS) return { problem: 'longer than 10 years' };
  return parsed;
}

function parseIsoDuration(text: string): ParsedDuration {
  const match = ISO_DURATION.exec(text.trim());
  if (match === null) return { problem: isoProblem(text.trim()) };
  const [weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  const ms =
    ((weeks ?? 0) * 7 + (days ?? 0)) * MS.days +
    (hours ?? 0) * MS.hours +
    (minutes ?? 0) * MS.minutes +
    (seconds ?? 0) * MS.seconds;
  return { ms: Math.round(ms) };
}

function isoProblem(text: string): string {
  if (/^P[^T]*\d[YM]/.test(text)) return 'years and months have no fixed length; write days';
  if (/^-P/.test(text)) return `got "${shortText(text)}", expected a duration that is not negative`;
  return `got "${shortText(text)}", expected ISO 8601 such as PT30S, PT1H30M or P2D`;
}

function parseObjectDuration(value: Json): ParsedDuration {
  if (!isJsonObject(value)) {
    return { problem: `got ${describeJsonType(value)}, expected ISO 8601 text or an object such as { seconds: 30 }` };
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return { problem: 'expected at least one of days, hours, minutes, seconds, milliseconds' };
  let ms = 0;
  for (const key of keys) {
    if (!Object.hasOwn(MS, key)) {
      return { problem: `"${shortText(key)}" is not known; expected days, hours, minutes, seconds or milliseconds` };
    }
    const amount = value[key];
    if (typeof amount !== 'number' || !Number.isInteger(amount) || amount < 0) {
      return { problem: `"${key}" must be a whole number that is not negative` };
    }
    ms += amount * MS[key as keyof typeof MS];
  }
  return { ms };
}

/** A duration for people: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.floor(ms)} ms`;
  if (ms < MS.minutes) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const minutes = Math.floor(ms / MS.minutes);
  if (ms < MS.hours) return `${minutes} min ${Math.floor((ms % MS.minutes) / 1_000)} s`;
  return `${Math.floor(ms / MS.hours)} h ${minutes % 60} min`;
}
