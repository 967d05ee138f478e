import { flowError } from '../dsl/errors';
import type { Json } from '../dsl/json';
import { isTooLong } from './encoded-json';

/** Size of a value as JSON in UTF-8; Infinity where it is longer than any text may be. */
export function jsonBytes(value: unknown): number {
  let text: string;
  try {
    text = JSON.stringify(value) ?? '';
  } catch (error) {
    if (isTooLong(error)) return Number.POSITIVE_INFINITY;
    throw error;
  }
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // Half of a surrogate pair is two bytes of the pair's four; alone, JSON escapes it.
    if (code > 0x7f) bytes += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** Throws BLW_RESULT_TOO_LARGE for a value that does not fit. */
export function refuseTooLarge(value: Json, what: string, maxBytes: number): void {
  const bytes = jsonBytes(value);
  if (bytes <= maxBytes) return;
  throw flowError(
    'BLW_RESULT_TOO_LARGE',
    `${what}: ${bytes} bytes of JSON, at most ${maxBytes} fit; write large data to a blob and pass its path`,
  );
}
