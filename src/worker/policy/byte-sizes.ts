import { describeJsonType, type Json } from '../../dsl/json';
import { closestName, shortJson } from '../../dsl/problems';

const UNITS: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ...['KB', 'MB', 'GB', 'TB'].map((unit, index) => [unit, 1_000 ** (index + 1)] as const),
  ...['KiB', 'MiB', 'GiB', 'TiB'].map((unit, index) => [unit, 1_024 ** (index + 1)] as const),
]);

const EXPECTED = 'expected bytes as a number, or text such as 500MB or 10GiB';

/** A number of bytes, or what is wrong with it. */
export type ParsedByteSize = { readonly bytes: number } | { readonly problem: string };

/** Reads a number of bytes, or text with a unit: KB is 1,000 bytes, KiB is 1,024. At least one byte. */
export function parseByteSize(value: Json): ParsedByteSize {
  if (typeof value === 'number') return wholeBytes(value, value);
  if (typeof value !== 'string') return { problem: `got ${describeJsonType(value)}, ${EXPECTED}` };
  const [, amount, unit = ''] = /^(\d{1,16}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(value.trim()) ?? [];
  if (amount === undefined) return { problem: `got ${shortJson(value)}, ${EXPECTED}` };
  if (unit === '') return { problem: `got ${shortJson(value)}, ${EXPECTED}; write a number without quotes` };
  const factor = UNITS.get(unit);
  if (factor !== undefined) return wholeBytes(Number(amount) * factor, value);
  const meant = closestName(unit, UNITS.keys());
  const advice = meant === undefined ? '' : `; did you mean ${amount}${meant}?`;
  return { problem: `got ${shortJson(value)}, ${EXPECTED}${advice}` };
}

function wholeBytes(bytes: number, value: Json): ParsedByteSize {
  if (Number.isSafeInteger(bytes) && bytes >= 1) return { bytes };
  return { problem: `got ${shortJson(value)}, expected a whole number of bytes from 1 to 2^53 - 1` };
}

/** Bytes for people, exactly: `10 GiB` where it is one, else `12345 bytes`. */
export function formatByteSize(bytes: number): string {
  const units = [...UNITS].reverse().filter(([unit]) => unit !== 'B');
  const [unit, factor] = units.find(([, size]) => bytes % size === 0) ?? ['bytes', 1];
  return `${bytes / factor} ${unit}`;
}
