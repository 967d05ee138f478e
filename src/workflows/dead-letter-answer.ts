import type { DeadLetter, DeadLetters, ListedLetter } from '../dsl/dead-letter';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { shortText } from '../dsl/problems';

/** Letters in one answer, and what they may have together, in characters of JSON: Temporal takes some 2 MB for an answer. */
const MAX_LETTERS = 500;
const MAX_LENGTH = 1_000_000;
const MAX_DETAIL_LENGTH = 500;

/** What the query `deadLetters` says of the letters: all of one, or as much as there is room for of each. */
export function listLetters(
  letters: readonly DeadLetter[],
  request: Json | undefined,
): Pick<DeadLetters, 'letters' | 'count'> {
  const id = isJsonObject(request) ? getOwn(request, 'id') : undefined;
  if (id !== undefined) return { letters: letters.filter((letter) => letter.id === id) };
  let left = MAX_LENGTH;
  const listed = letters.slice(0, MAX_LETTERS).map((letter) => {
    const length = JSON.stringify(letter).length;
    if (length > left) return cut(letter);
    left -= length;
    return letter;
  });
  return { letters: listed, ...(letters.length === listed.length ? {} : { count: letters.length }) };
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
