import { ISO_DURATION } from '../durations';
import { isJsonObject, type Json, type JsonObject } from '../json';

/** Text with an expression in it: only run time knows what it will be. */
const HAS_EXPRESSION = '\\$\\{';

/** `patternErrorMessage` is what editors show instead of the pattern. */
const duration = (pattern: string, expected: string): JsonObject => ({
  type: ['string', 'object'],
  pattern,
  patternErrorMessage: `Expected ${expected}`,
  minProperties: 1,
  additionalProperties: false,
  properties: Object.fromEntries(
    ['days', 'hours', 'minutes', 'seconds', 'milliseconds'].map((unit) => [
      unit,
      { type: 'integer', minimum: 0, description: `Number of ${unit}` },
    ]),
  ),
});

const ISO = ISO_DURATION.source.slice(1, -1);

/** A duration that has to be known before anything runs. */
export const LITERAL_DURATION: JsonObject = {
  description: 'A duration: ISO 8601 such as PT30S, PT1H30M or P2D, or an object such as { seconds: 30 }',
  ...duration(`^\\s*${ISO}\\s*$`, 'ISO 8601 such as PT30S, PT1H30M or P2D (no expression)'),
};

/** A duration, or an expression that gives one. */
export const DURATION: JsonObject = {
  description:
    'A duration: ISO 8601 such as PT30S, PT1H30M or P2D, an object such as { seconds: 30 }, or an expression ${ … }',
  ...duration(`^\\s*${ISO}\\s*$|${HAS_EXPRESSION}`, 'ISO 8601 such as PT30S, PT1H30M or P2D, or an expression ${ … }'),
};

/** Text of at least one character. */
export function text(description: string): JsonObject {
  return { type: 'string', minLength: 1, description };
}

/** A reference to one of the schema's own definitions, with what is to be said at the place. */
export function ref(name: string, description?: string): JsonObject {
  return { $ref: `#/$defs/${name}`, ...(description === undefined ? {} : { description }) };
}

/** An object with these keys and no others. */
export function closed(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return {
    type: 'object',
    additionalProperties: false,
    properties,
    ...(required.length === 0 ? {} : { required: [...required] }),
  };
}

/**
 * What the specification has and the engine refuses by name. Editors flag it, say why, and do not propose it
 * (what is no keyword of JSON Schema is theirs; other validators pass over it).
 */
export function refused(why: string): JsonObject {
  const message = `Not supported: ${why}`;
  return { not: {}, description: message, errorMessage: message, deprecationMessage: message, doNotSuggest: true };
}

/** What holds where a condition does, and where it does not. */
export function when(condition: JsonObject, schema: JsonObject, otherwise?: JsonObject): JsonObject {
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema; nobody awaits a schema.
  return { if: condition, then: schema, ...(otherwise === undefined ? {} : { else: otherwise }) };
}

/** The types that a schema names. */
export function typesOf({ type }: JsonObject): string[] {
  return type === undefined ? [] : [type].flat().map(String);
}

/**
 * The schema of a value for a document in which an expression may stand for it, or for any part of it. Without
 * combinators where it can be: keywords of one type say nothing of another, so that a mistake gives one error.
 */
export function acceptExpressions(schema: JsonObject, known: ReadonlyMap<Json, JsonObject> = new Map()): JsonObject {
  const replacement = known.get(schema);
  if (replacement !== undefined) return replacement;
  const inner = acceptInside(schema, known);
  const types = typesOf(schema);
  if (types.includes('string') || schema.enum !== undefined) return relaxText(inner);
  if (types.length === 0) return inner;
  return {
    ...inner,
    type: [...types, 'string'],
    pattern: HAS_EXPRESSION,
    patternErrorMessage: `Expected ${types.join(' or ')}, or an expression \${ … }`,
  };
}

/** The same for the parts of a value only. */
export function acceptInside(schema: JsonObject, known: ReadonlyMap<Json, JsonObject> = new Map()): JsonObject {
  const accept = (part: Json): Json => (isJsonObject(part) ? acceptExpressions(part, known) : part);
  const { properties, items, additionalProperties: others } = schema;
  return {
    ...schema,
    ...(isJsonObject(properties)
      ? { properties: Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, accept(part)])) }
      : {}),
    ...(items === undefined ? {} : { items: accept(items) }),
    ...(others === undefined ? {} : { additionalProperties: accept(others) }),
  };
}

/** What limits a text does not hold for the text of an expression. */
function relaxText(schema: JsonObject): JsonObject {
  const limits: JsonObject = {};
  const rest: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    (['enum', 'pattern', 'maxLength'].includes(key) ? limits : rest)[key] = value;
  }
  return Object.keys(limits).length === 0 ? schema : { ...rest, anyOf: [limits, { pattern: HAS_EXPRESSION }] };
}
