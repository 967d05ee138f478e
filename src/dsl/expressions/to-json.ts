import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { type Json, type JsonObject, setOwn } from '../json';
import { COPIED_CHARACTERS_PER_UNIT } from './call-cost';
import { isPlainObject, keysWork, spend, workOf } from './work-limit';

/** Deepest result, and deepest value that `toJson` and `fromJson` take. */
export const MAX_RESULT_DEPTH = 100;

/**
 * CEL's values as JSON: 64-bit integers become numbers (text where a number would lose digits), timestamps ISO 8601 text,
 * durations ISO 8601 text, bytes base64, an absent optional null. Types, functions and numbers without end have no JSON
 * form: null in their place would hide a division by zero.
 */
export function toJson(value: unknown, depth = 0): Json {
  spend(1 + (typeof value === 'string' ? workOf(value) : 0));
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value === 0 ? 0 : value;
    throw new Error(`the result is ${value}, which JSON has no number for; was something divided by zero?`);
  }
  if (typeof value === 'bigint') return bigintToJson(value);
  if (value === undefined) return null;
  if (depth > MAX_RESULT_DEPTH) throw new Error(`the result is nested deeper than ${MAX_RESULT_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((item) => toJson(item, depth + 1));
  if (typeof value === 'object') return objectToJson(value, depth);
  throw new Error(`a ${typeof value} cannot be a result`);
}

function bigintToJson(value: bigint): Json {
  if (Number.isSafeInteger(Number(value))) return Number(value);
  const text = value.toString();
  // int() of a double may have 309 digits.
  spend(text.length / COPIED_CHARACTERS_PER_UNIT);
  return text;
}

function objectToJson(value: object, depth: number): Json {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) {
    spend(value.length);
    return toBase64(value);
  }
  if (value instanceof Duration) return durationText(value);
  if (value instanceof UnsignedInt) return toJson(value.value);
  if (isOptional(value)) return value.hasValue() ? toJson(value.value(), depth + 1) : null;
  if (!(value instanceof Map) && !isPlainObject(value)) throw new Error('a type cannot be a result');
  const result: JsonObject = {};
  spend(keysWork(value));
  if (value instanceof Map) for (const [key, item] of value) setOwn(result, String(key), toJson(item, depth + 1));
  // Object.entries takes five times as long where there are many keys (measured: 5 µs each of 900,000).
  else for (const key of Object.keys(value)) setOwn(result, key, toJson((value as JsonObject)[key], depth + 1));
  return result;
}

/** ISO 8601 in seconds, with a sign in front where it is negative (as XML Schema has it). */
function durationText({ seconds, nanos }: Duration): string {
  const total = seconds * 1_000_000_000n + BigInt(nanos);
  const [sign, size] = total < 0n ? ['-', -total] : ['', total];
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${sign}PT${size / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}S`;
}

function isOptional(value: object): value is { hasValue(): boolean; value(): unknown } {
  return typeof (value as { hasValue?: unknown }).hasValue === 'function' && !isPlainObject(value);
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** There is no Buffer and no btoa in the workflow's isolate. */
function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a = 0, b, c] = bytes.subarray(index, index + 3);
    text += BASE64.charAt(a >> 2) + BASE64.charAt(((a & 3) << 4) | ((b ?? 0) >> 4));
    text += b === undefined ? '=' : BASE64.charAt(((b & 15) << 2) | ((c ?? 0) >> 6));
    text += c === undefined ? '=' : BASE64.charAt(c & 63);
  }
  return text;
}
