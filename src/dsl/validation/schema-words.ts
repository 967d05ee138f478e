import type { ErrorObject } from 'ajv';
import { describeJsonType, type Json } from '../json';
import { shortJson, shortText } from '../problems';

/** What is wrong with a value, in words. */
export interface Mismatch {
  readonly message: string;
  /** The same without the value, which may be a secret. */
  readonly withoutValue: string;
}

type Params = Readonly<Record<string, Json>>;

const COMPARISONS: Readonly<Record<string, string>> = {
  '>=': 'at least',
  '>': 'more than',
  '<=': 'at most',
  '<': 'less than',
};

/** What the keywords of JSON Schema want, where the library says it in words of its own. */
const EXPECTED: Readonly<Record<string, (params: Params) => string>> = {
  enum: ({ allowedValues }) => `one of ${(allowedValues as Json[]).map((value) => JSON.stringify(value)).join(', ')}`,
  const: ({ allowedValue }) => JSON.stringify(allowedValue),
  minLength: ({ limit }) => `at least ${counted(limit, 'character')}`,
  maxLength: ({ limit }) => `at most ${counted(limit, 'character')}`,
  minItems: ({ limit }) => `at least ${counted(limit, 'item')}`,
  maxItems: ({ limit }) => `at most ${counted(limit, 'item')}`,
  minProperties: ({ limit }) => `at least ${counted(limit, 'key')}`,
  maxProperties: ({ limit }) => `at most ${counted(limit, 'key')}`,
  minimum: compared,
  maximum: compared,
  exclusiveMinimum: compared,
  exclusiveMaximum: compared,
  multipleOf: ({ multipleOf }) => `a multiple of ${multipleOf}`,
  pattern: ({ pattern }) => `text that matches ${shortText(String(pattern), 100)}`,
  format: ({ format }) => `text of the format ${format}`,
  contains: ({ minContains, maxContains }) =>
    `${maxContains === undefined ? 'at least' : `${minContains} to`} ${counted(maxContains ?? minContains, 'item')} as under "contains"`,
  anyOf: () => 'what one of the schemas under "anyOf" says',
  oneOf: ({ passingSchemas }) =>
    Array.isArray(passingSchemas)
      ? `what only one of the schemas under "oneOf" says, and ${passingSchemas.join(' and ')} match`
      : 'what one of the schemas under "oneOf" says',
  not: () => 'anything but what "not" says',
  if: ({ failingKeyword }) => `what "${failingKeyword}" says`,
  'false schema': () => 'nothing here',
};

/** A violation in the words of this project; undefined where a keyword is not among those that are known here. */
export function describeMismatch({ keyword, params, data }: ErrorObject): Mismatch | undefined {
  const known = params as Params;
  const always = (message: string): Mismatch => ({ message, withoutValue: message });
  switch (keyword) {
    case 'type':
      return always(`got ${describeJsonType(data)}, expected ${[known.type ?? ''].flat().join(' or ')}`);
    case 'uniqueItems':
      return always(`items ${known.j} and ${known.i} are the same, expected each of them once`);
    case 'dependentRequired':
    case 'dependencies':
      return always(`"${known.missingProperty}" is missing, expected beside "${known.property}"`);
    case 'propertyNames':
      return always(`"${shortText(String(known.propertyName))}" cannot be a key here`);
  }
  const expected = Object.hasOwn(EXPECTED, keyword) ? EXPECTED[keyword]?.(known) : undefined;
  if (expected === undefined) return undefined;
  return { message: `got ${shortJson(data)}, expected ${expected}`, withoutValue: `expected ${expected}` };
}

function compared({ comparison, limit }: Params): string {
  return `${COMPARISONS[String(comparison)] ?? comparison} ${limit}`;
}

function counted(count: Json | undefined, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}
