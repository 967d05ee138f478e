import { parseDuration } from '../durations';
import { isJsonObject, type Json } from '../json';
import { shortJson, shortText } from '../problems';

/** Units as people write them, and what ISO 8601 has for them. */
const UNITS: readonly (readonly [words: RegExp, iso: string])[] = [
  [/^(?:w|weeks?)$/i, 'W'],
  [/^(?:d|days?)$/i, 'D'],
  [/^(?:h|hrs?|hours?)$/i, 'H'],
  [/^(?:m|mins?|minutes?)$/i, 'M'],
  [/^(?:s|secs?|seconds?)$/i, 'S'],
  [/^(?:ms|millis?|milliseconds?|msecs?)$/i, 'ms'],
];

/** `10s`, `1h30m`, `15 minutes`, `2 days and 3 hours`. */
const AMOUNTS = /^(?:\d{1,9}(?:\.\d{1,6})?\s?[A-Za-z]{1,12}(?:,|\s|and)*){1,6}$/;
const AMOUNT = /(\d+(?:\.\d+)?)\s?([A-Za-z]+)/g;

/** The duration that was probably meant, in ISO 8601 or as an object in YAML; undefined where that cannot be told. */
function durationMeant(value: Json): string | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && value > 0 ? `PT${value}S` : undefined;
  if (isJsonObject(value)) return objectMeant(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  const meant = fromDigits(text) ?? fromWords(text) ?? fromIso(text) ?? fromClock(text);
  return meant !== undefined && isDuration(meant) ? meant : undefined;
}

/** `, write PT10S`, or nothing. */
export function durationAdvice(value: Json): string {
  const meant = durationMeant(value);
  if (meant === undefined) return '';
  return `; write ${meant}${typeof value === 'number' || /^\d+$/.test(String(value)) ? ' for seconds' : ''}`;
}

/** A value of `timeout` that is a duration, or looks like one, where OWS has `{ after: … }` or a name. */
export function timeoutMeant(value: Json): string | undefined {
  const isLiteral = !isJsonObject(value) || !Object.hasOwn(value, 'after');
  if (isLiteral && 'ms' in parseDuration(value)) return `{ after: ${inYaml(value)} }`;
  const meant = isLiteral ? durationMeant(value) : undefined;
  return meant === undefined ? undefined : `{ after: ${meant} }`;
}

function inYaml(value: Json): string {
  if (!isJsonObject(value)) return typeof value === 'string' ? shortText(value) : shortJson(value);
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${key}: ${shortJson(item)}`)
    .join(', ')} }`;
}

function isDuration(text: string): boolean {
  return text.startsWith('{') || 'ms' in parseDuration(text);
}

function fromDigits(text: string): string | undefined {
  return /^\d{1,9}$/.test(text) ? `PT${Number(text)}S` : undefined;
}

function fromWords(text: string): string | undefined {
  if (!AMOUNTS.test(text)) return undefined;
  const amounts = [...text.matchAll(AMOUNT)].map(([, amount = '', word = '']) => ({ amount, unit: unitOf(word) }));
  if (amounts.some(({ unit }) => unit === undefined)) return undefined;
  const units = amounts.map(({ unit = '' }) => unit);
  if (units.includes('ms')) return units.length === 1 ? `{ milliseconds: ${amounts[0]?.amount} }` : undefined;
  const part = (wanted: string) =>
    amounts.flatMap(({ amount, unit = '' }) => (wanted.includes(unit) ? [`${amount}${unit}`] : [])).join('');
  const time = part('HMS');
  return `P${part('WD')}${time === '' ? '' : `T${time}`}`;
}

function unitOf(word: string): string | undefined {
  return UNITS.find(([words]) => words.test(word))?.[1];
}

/** ISO 8601 with a slip: in lower case, or without the T in front of hours, minutes and seconds. */
function fromIso(text: string): string | undefined {
  const upper = text.toUpperCase();
  if (!/^P[\dT][\dTWDHMS.]*$/.test(upper)) return undefined;
  return isDuration(upper) ? upper : upper.includes('T') ? undefined : upper.replace(/^P((?:\d+D)?)/, 'P$1T');
}

/** `00:05:00` */
function fromClock(text: string): string | undefined {
  const [, hours, minutes, seconds] = /^(\d{1,2}):([0-5]\d):([0-5]\d)$/.exec(text) ?? [];
  if (hours === undefined) return undefined;
  const parts = [
    [hours, 'H'],
    [minutes, 'M'],
    [seconds, 'S'],
  ].flatMap(([amount, unit]) => (Number(amount) === 0 ? [] : [`${Number(amount)}${unit}`]));
  return parts.length === 0 ? undefined : `PT${parts.join('')}`;
}

/** `{ minute: 5 }` */
function objectMeant(value: { readonly [key: string]: Json }): string | undefined {
  const words = { D: 'days', H: 'hours', M: 'minutes', S: 'seconds', ms: 'milliseconds' } as const;
  const parts = Object.entries(value).map(([key, amount]) => {
    const unit = unitOf(key);
    return unit === undefined || unit === 'W' || typeof amount !== 'number'
      ? undefined
      : ([words[unit as keyof typeof words], amount] as const);
  });
  if (parts.length === 0 || parts.includes(undefined)) return undefined;
  const meant = Object.fromEntries(parts as [string, number][]);
  return 'ms' in parseDuration(meant) ? inYaml(meant) : undefined;
}
