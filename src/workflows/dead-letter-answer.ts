import type { DeadLetter, DeadLetters, ListedLetter } from '../dsl/dead-letter';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { shortText } from '../dsl/problems';

/**
 * Letters in one answer, and what they may have together, in characters of JSON, besides those that are cut: from 512 KiB on the SDK warns
 * of an answer, and from 2 MB on Temporal refuses it.
 */
const MAX_LETTERS = 200;
const MAX_LENGTH = 300_000;
const MAX_DETAIL_LENGTH = 500;

/** What the query `deadLetters` says of the letters: all of one, or as much as there is room for of each. */
export function listLetters(
  letters: readonly DeadLetter[],
  request: Json | undefined,
): Pick<DeadLetters, 'letters' | 'hasMore'> {
  const [id, after] = isJsonObject(request) ? [getOwn(request, 'id'), getOwn(request, 'after')] : [];
  if (id !== undefined) return { letters: letters.filter((letter) => letter.id === id) };
  const first = letters.findIndex((letter) => letter.id === after) + 1;
  const page = letters.slice(first, first + MAX_LETTERS);
  let left = MAX_LENGTH;
  const listed = page.map((letter) => {
    const length = JSON.stringify(letter).length;
    if (length > left) return cut(letter);
    left -= length;
    return letter;
  });
  return { letters: listed, ...(letters.length > first + page.length ? { hasMore: true as const } : {}) };
}

function cut({ input: _, with: __, error, ...rest }: DeadLetter): ListedLetter {
  return { ...rest, error: shortError(error), isCut: true };
}

function shortError({ data: _, ...error }: JsonObject): JsonObject {
  const entries = Object.entries(error).filter(([, value]) => typeof value !== 'object');
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'string' ? shortText(value, MAX_DETAIL_LENGTH) : value]),
  );
}
