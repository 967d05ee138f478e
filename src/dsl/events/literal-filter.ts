import { getOwn, isJsonObject, isSameJson, type Json, type JsonObject } from '../json';
import { linearRegExp } from '../regular-expression';
import type { CloudEvent } from './cloud-event';

/** Text with one of these may be a regular expression; a URI or a type with dots is none, and is compared as it stands. */
const PATTERN_MARK = /[*+?^$|[(\\]/;

/**
 * The attributes of a filter that are known before an event comes (OWS dsl-reference, "Event Filter": values are compared,
 * or are regular expressions). Cheap, so that the event bus asks it of every event.
 */
export class LiteralFilter {
  readonly #attributes: readonly (readonly [string, (actual: Json) => boolean])[];

  /** `attributes` by name; an empty object accepts every event. */
  constructor(attributes: JsonObject) {
    this.#attributes = Object.entries(attributes).map(([name, expected]) => [name, predicate(name, expected)] as const);
  }

  matches(event: CloudEvent): boolean {
    return this.#attributes.every(([name, accepts]) => {
      const actual = getOwn(event, name);
      return actual !== undefined && accepts(actual);
    });
  }
}

function predicate(name: string, expected: Json): (actual: Json) => boolean {
  if (name === 'data') return (actual) => containsJson(actual, expected);
  if (name === 'time' && typeof expected === 'string') return (actual) => isSameInstant(String(actual), expected);
  const pattern = typeof expected === 'string' ? patternOf(expected) : undefined;
  const text = String(expected);
  return (actual) => String(actual) === text || pattern?.test(String(actual)) === true;
}

/** The regular expression that a text is, to be met by the whole of a value; undefined where it is none. */
function patternOf(text: string): { test(text: string): boolean } | undefined {
  if (!PATTERN_MARK.test(text)) return undefined;
  try {
    return linearRegExp(`^(?:${text})$`);
  } catch {
    // Not every text with such a character means a pattern, a URI with a query for one.
    return undefined;
  }
}

function isSameInstant(actual: string, expected: string): boolean {
  return actual === expected || Date.parse(actual) === Date.parse(expected);
}

/** True where `actual` has all that `expected` has: the keys of an object and maybe more, all else the same. */
export function containsJson(actual: Json, expected: Json): boolean {
  if (!isJsonObject(expected)) return isSameJson(actual, expected);
  if (!isJsonObject(actual)) return false;
  return Object.entries(expected).every(([key, value]) => {
    const own = getOwn(actual, key);
    return own !== undefined && containsJson(own, value);
  });
}
