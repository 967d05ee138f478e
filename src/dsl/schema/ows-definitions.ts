import { isJsonObject, type Json, type JsonObject } from '../json';
import { typesOf } from './value-schemas';

/** Schemas by name. */
export type Definitions = { [name: string]: JsonObject };

/**
 * The specification's definitions, said in words that editors understand well: what a task inherits is written out, and a
 * choice between an object and a text is one schema, so that a mistake gives one error at its place and not one for each
 * alternative. What they accept stays the same, but that unknown keys are refused everywhere; titles, which are names of classes, are dropped.
 */
export function plainDefinitions(definitions: Definitions): Definitions {
  return Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, plain(schema, definitions)]));
}

/** One schema of the specification in the same way. */
export function plain(schema: JsonObject, definitions: Definitions): JsonObject {
  const { title: _, allOf, oneOf, anyOf, unevaluatedProperties: rest, ...own } = schema;
  const parts = partsOf(own, definitions);
  if (Array.isArray(allOf)) Object.assign(parts, mergeParts(parts, allOf as JsonObject[], definitions));
  // The engine refuses unknown keys also where the specification says nothing of them.
  if (rest === false || (own.type === 'object' && parts.properties !== undefined)) parts.additionalProperties ??= false;
  const choices = (oneOf ?? anyOf) as JsonObject[] | undefined;
  return choices === undefined ? parts : withChoices(parts, choices, definitions);
}

/** Schemas below; other keywords as they are. */
function partsOf(schema: JsonObject, definitions: Definitions): JsonObject {
  const read = (part: Json): Json => (isJsonObject(part) ? plain(part, definitions) : part);
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === 'properties' && isJsonObject(value)) {
        return [key, Object.fromEntries(Object.entries(value).map(([name, part]) => [name, read(part)]))];
      }
      return [key, key === 'items' || key === 'additionalProperties' ? read(value) : value];
    }),
  );
}

/** `allOf` with what a task inherits. */
function mergeParts(own: JsonObject, parts: readonly JsonObject[], definitions: Definitions): JsonObject {
  const all = parts.map((part) => plain(resolve(part, definitions), definitions));
  return { properties: Object.assign({}, ...[own, ...all].map(({ properties }) => properties)) as JsonObject };
}

function withChoices(own: JsonObject, choices: readonly JsonObject[], definitions: Definitions): JsonObject {
  const plainChoices = choices.map((choice) => plain(resolve(choice, definitions), definitions));
  if (own.type === 'object' && own.properties === undefined && plainChoices.every(isOneKey))
    return hoist(own, plainChoices);
  // A choice that takes everything.
  if (plainChoices.some((choice) => typesOf(choice).length === 0 && choice.enum === undefined)) return own;
  const others = plainChoices.filter((choice) => !typesOf(choice).includes('string'));
  const texts = plainChoices.filter((choice) => typesOf(choice).includes('string'));
  const merged: JsonObject = Object.assign({}, ...others, textOf(texts), own);
  const [type = 'string', ...more] = new Set(plainChoices.flatMap(typesOf));
  return { ...merged, type: more.length === 0 ? type : [type, ...more] };
}

/** Objects that differ in their keys: all keys, of which exactly one must be there. */
function hoist(own: JsonObject, choices: readonly JsonObject[]): JsonObject {
  const properties = Object.assign({}, own.properties, ...choices.map((choice) => choice.properties)) as JsonObject;
  return { ...own, properties, minProperties: 1, maxProperties: 1 };
}

/** True for an object of one key: of several such choices one key each is the whole choice. */
function isOneKey({ properties, required }: JsonObject): boolean {
  return isJsonObject(properties) && Object.keys(properties).length === 1 && Array.isArray(required);
}

/** Several kinds of text: any text where one of them is that and nothing is proposed. */
function textOf(texts: readonly JsonObject[]): JsonObject {
  const isAnyText = (schema: JsonObject) => !['pattern', 'format', 'enum'].some((key) => schema[key] !== undefined);
  const [only, ...more] = texts.map(({ description: _, ...schema }) => schema);
  if (only === undefined) return {};
  if (more.length === 0) return only;
  if (texts.some(isAnyText) && texts.every(({ enum: words }) => words === undefined)) return {};
  return { anyOf: [only, ...more] };
}

function resolve(schema: JsonObject, definitions: Definitions): JsonObject {
  const { $ref: reference, ...own } = schema;
  if (typeof reference !== 'string') return schema;
  const found = definitions[reference.replace('#/$defs/', '')];
  if (found === undefined) throw new Error(`the specification's schema has no ${reference}`);
  return { ...resolve(found, definitions), ...own };
}
