import { describeJsonType, getOwn, hasJsonType, isJsonObject, isSameJson, type Json, type JsonObject } from '../json';
import { closestName, listNames, shortJson } from '../problems';
import { type LinearRegExp, linearRegExp } from '../regular-expression';
import type { Checker, Path } from '../validation/checker';

/** One value that is not as a test expects it. */
export interface Difference {
  /** Where, in words: `output.total`, `step charge: input.body`. */
  readonly at: string;
  readonly expected: string;
  readonly got: string;
}

/** What differs from an expected value; an empty list: nothing. `actual` is undefined where there is no value. */
export type Compare = (expected: Json, actual: Json | undefined, at: string) => readonly Difference[];

/** A matcher: compares what was got with its argument. */
interface Matcher {
  /** What is wrong with the argument; undefined: nothing. */
  explain(argument: Json): string | undefined;
  /** `compare` is for values within the argument: as those where the matcher stands are compared. */
  match(argument: Json, actual: Json | undefined, at: string, compare: Compare): readonly Difference[];
}

const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'] as const;

/**
 * What may stand in the place of a value: an object whose keys all begin with `$`. Everything else is compared as it is, every key and
 * every element; an object that has such keys itself is written under `$equals`.
 */
const MATCHERS: Readonly<Record<string, Matcher>> = {
  $equals: { explain: () => undefined, match: compareExactly },
  $contains: { explain: () => undefined, match: compareContained },
  $inOrder: {
    explain: (argument) => (Array.isArray(argument) ? undefined : `got ${describeJsonType(argument)}, expected a list`),
    match: compareInOrder,
  },
  $matches: { explain: explainPattern, match: comparePattern },
  $type: {
    explain: (argument) =>
      TYPES.some((type) => type === argument)
        ? undefined
        : `got ${shortJson(argument)}, expected one of ${TYPES.join(', ')}`,
    match: (type, actual, at) =>
      differenceUnless(hasJsonType(actual, String(type)), at, `a value of type ${type}`, actual),
  },
  $atLeast: {
    explain: explainNumber,
    match: (least, actual, at) =>
      differenceUnless(typeof actual === 'number' && actual >= Number(least), at, `at least ${least}`, actual),
  },
  $atMost: {
    explain: explainNumber,
    match: (most, actual, at) =>
      differenceUnless(typeof actual === 'number' && actual <= Number(most), at, `at most ${most}`, actual),
  },
  $length: { explain: () => undefined, match: compareLength },
  $oneOf: {
    explain: (argument) =>
      Array.isArray(argument) && argument.length > 0
        ? undefined
        : `got ${shortJson(argument)}, expected a list of values of which one will do`,
    match: (choices, actual, at, compare) =>
      differenceUnless(
        (choices as Json[]).some((choice) => compare(choice, actual, at).length === 0),
        at,
        `one of ${(choices as Json[]).map(shortJson).join(', ')}`,
        actual,
      ),
  },
  $not: {
    explain: () => undefined,
    match: (unwanted, actual, at, compare) =>
      differenceUnless(compare(unwanted, actual, at).length > 0, at, `not ${shortJson(unwanted)}`, actual),
  },
  $absent: {
    explain: (argument) => (argument === true ? undefined : `got ${shortJson(argument)}, expected true`),
    match: (_, actual, at) => differenceUnless(actual === undefined, at, 'nothing', actual),
  },
};

/** Their arguments are values that may have matchers in them. */
const HOLDS_VALUES: ReadonlySet<string> = new Set(['$contains', '$inOrder', '$length', '$oneOf', '$not']);

/** Compares a value as a test writes it: as it is, every key and every element, with matchers at any depth. */
export const findDifferences: Compare = (expected, actual, at) =>
  matched(expected, actual, at, findDifferences) ?? compareLiteral(expected, actual, at, findDifferences);

/** The same for an object of which only some keys are named, an error above all. */
export const findNamedDifferences: Compare = (expected, actual, at) => {
  const differences = matched(expected, actual, at, findNamedDifferences);
  if (differences !== undefined) return differences;
  if (isJsonObject(expected) && isJsonObject(actual)) return compareKeys(expected, actual, at, findDifferences);
  return findDifferences(expected, actual, at);
};

function matched(
  expected: Json,
  actual: Json | undefined,
  at: string,
  compare: Compare,
): readonly Difference[] | undefined {
  const matchers = matchersOf(expected);
  if (matchers === undefined) return undefined;
  return Object.entries(matchers).flatMap(
    ([name, argument]) => MATCHERS[name]?.match(argument, actual, at, compare) ?? [],
  );
}

/** What looks like a matcher is none. */
function compareExactly(expected: Json, actual: Json | undefined, at: string): readonly Difference[] {
  return compareLiteral(expected, actual, at, compareExactly);
}

/** Reports matchers that are not known or whose arguments they cannot take. */
export function checkExpected(expected: Json, path: Path, checker: Checker): void {
  if (Array.isArray(expected)) {
    for (const [index, item] of expected.entries()) checkExpected(item, [...path, index], checker);
    return;
  }
  if (!isJsonObject(expected)) return;
  const keys = Object.keys(expected);
  const marked = keys.filter((key) => key.startsWith('$'));
  if (marked.length > 0 && marked.length < keys.length) {
    const message = `"${marked[0]}" stands beside keys of a value; write the value under $contains, or under $equals where "${marked[0]}" is a key of it`;
    checker.report('BLW_VALUE_INVALID', [...path, marked[0] ?? ''], message, 'key');
    return;
  }
  for (const [key, value] of Object.entries(expected)) {
    const inner = [...path, key];
    if (marked.length === 0) checkExpected(value, inner, checker);
    else checkMatcher(key, value, inner, checker);
  }
}

function checkMatcher(name: string, argument: Json, path: Path, checker: Checker): void {
  const matcher = Object.hasOwn(MATCHERS, name) ? MATCHERS[name] : undefined;
  if (matcher === undefined) {
    const known = Object.keys(MATCHERS);
    const meant = closestName(name, known);
    const advice = meant === undefined ? `there are: ${listNames(known)}` : `did you mean ${meant}?`;
    checker.report('BLW_KEY_UNKNOWN', path, `${shortJson(name)} is no matcher; ${advice}`, 'key');
    return;
  }
  const problem = matcher.explain(argument);
  if (problem !== undefined) checker.report('BLW_VALUE_INVALID', path, `${name}: ${problem}`);
  else if (HOLDS_VALUES.has(name)) checkExpected(argument, path, checker);
}

function matchersOf(expected: Json): JsonObject | undefined {
  if (!isJsonObject(expected)) return undefined;
  const keys = Object.keys(expected);
  return keys.length > 0 && keys.every((key) => Object.hasOwn(MATCHERS, key)) ? expected : undefined;
}

function compareLiteral(expected: Json, actual: Json | undefined, at: string, compare: Compare): readonly Difference[] {
  if (isJsonObject(expected) && isJsonObject(actual)) {
    const missing = Object.keys(actual).filter((key) => !Object.hasOwn(expected, key));
    return [
      ...compareKeys(expected, actual, at, compare),
      ...missing.map((key) => ({ at: placeOf(at, key), expected: 'nothing', got: shown(getOwn(actual, key)) })),
    ];
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length)
    return expected.flatMap((item, index) => compare(item, actual[index], `${at}[${index}]`));
  return differenceUnless(actual !== undefined && isSameJson(expected, actual), at, shown(expected), actual);
}

function compareKeys(expected: JsonObject, actual: JsonObject, at: string, compare: Compare): readonly Difference[] {
  return Object.entries(expected).flatMap(([key, value]) => compare(value, getOwn(actual, key), placeOf(at, key)));
}

/** A text that has this part; else as {@link compareParts}. */
function compareContained(expected: Json, actual: Json | undefined, at: string): readonly Difference[] {
  if (typeof expected === 'string' && typeof actual === 'string')
    return differenceUnless(actual.includes(expected), at, `text that has ${shown(expected)}`, actual);
  return compareParts(expected, actual, at);
}

/** Of an object at least these keys, and so on within them; of a list at least these elements, in any order; anything else as it is. */
const compareParts: Compare = (expected, actual, at) => {
  if (matchersOf(expected) !== undefined) return findDifferences(expected, actual, at);
  if (isJsonObject(expected) && isJsonObject(actual)) return compareKeys(expected, actual, at, compareParts);
  // What is no list is one of its elements.
  if (Array.isArray(actual)) return compareElements([expected].flat(), actual, at);
  return findDifferences(expected, actual, at);
};

/** Each element stands for one that is there: two that are the same, for two. */
function compareElements(expected: readonly Json[], actual: readonly Json[], at: string): readonly Difference[] {
  const left = [...actual];
  return expected.flatMap((item) => {
    const index = left.findIndex((candidate) => compareParts(item, candidate, at).length === 0);
    if (index >= 0) left.splice(index, 1);
    return index >= 0 ? [] : [{ at, expected: `a list that has ${shown(item)}`, got: shown([...actual]) }];
  });
}

/** These elements, in this order, with any others before, between and after. */
function compareInOrder(expected: Json, actual: Json | undefined, at: string): readonly Difference[] {
  const items = expected as Json[];
  if (!Array.isArray(actual)) return [{ at, expected: `a list with ${shown(items)} in order`, got: shown(actual) }];
  let next = 0;
  for (const candidate of actual) {
    const wanted = items[next];
    if (wanted !== undefined && findDifferences(wanted, candidate, at).length === 0) next += 1;
  }
  if (next === items.length) return [];
  const after = next === 0 ? '' : ` after ${shown(items[next - 1])}`;
  return [{ at, expected: `${shown(items[next])}${after}`, got: shown(actual) }];
}

function compareLength(expected: Json, actual: Json | undefined, at: string): readonly Difference[] {
  const length =
    typeof actual === 'string' || Array.isArray(actual)
      ? [...actual].length
      : isJsonObject(actual)
        ? Object.keys(actual).length
        : undefined;
  if (length === undefined) return [{ at, expected: 'a text, a list or an object', got: shown(actual) }];
  return findDifferences(expected, length, `length of ${at}`);
}

function explainPattern(pattern: Json): string | undefined {
  if (typeof pattern !== 'string') return `got ${describeJsonType(pattern)}, expected a regular expression`;
  try {
    linearRegExp(pattern);
    return undefined;
  } catch (error) {
    return `got ${shortJson(pattern)}, expected a regular expression in RE2's syntax: ${(error as Error).message}`;
  }
}

function comparePattern(pattern: Json, actual: Json | undefined, at: string): readonly Difference[] {
  const expression: LinearRegExp = linearRegExp(String(pattern));
  const isMatch = typeof actual === 'string' && expression.test(actual);
  return differenceUnless(isMatch, at, `text that matches ${String(pattern)}`, actual);
}

function explainNumber(argument: Json): string | undefined {
  return typeof argument === 'number' ? undefined : `got ${describeJsonType(argument)}, expected a number`;
}

function differenceUnless(
  isSame: boolean,
  at: string,
  expected: string,
  actual: Json | undefined,
): readonly Difference[] {
  return isSame ? [] : [{ at, expected, got: shown(actual) }];
}

/** Longest value that is quoted: what a person still compares. */
const MAX_SHOWN = 400;

function shown(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text;
}

/** `output.total`, `output["order id"]` */
function placeOf(at: string, key: string): string {
  return /^[A-Za-z_][\w-]*$/.test(key) ? `${at}.${key}` : `${at}[${JSON.stringify(key)}]`;
}
