import { isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { linearRegExp } from '../../dsl/regular-expression';
import { badDocument, dereference, followReference, type OpenApiDocument, objectOf } from './openapi-document';

/** Deepest nesting of a schema that is read, references not counted. */
const MAX_DEPTH = 100;

/** A file in a form, or a body of bytes: text, or bytes in base64. `required` and what follows is about objects only. */
export const FILE_SCHEMA: JsonObject = {
  type: ['string', 'object'],
  required: ['base64'],
  properties: { base64: { type: 'string' }, filename: { type: 'string' }, contentType: { type: 'string' } },
  additionalProperties: false,
};

const isText = (value: Json): boolean => typeof value === 'string';
const isNumber = (value: Json): boolean => typeof value === 'number';
const isCount = (value: Json): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
const isFlag = (value: Json): boolean => typeof value === 'boolean';
const isAny = (): boolean => true;
const isList = (value: Json): boolean => Array.isArray(value);
const isNames = (value: Json): boolean =>
  Array.isArray(value) && value.every(isText) && new Set(value).size === value.length;
const TYPES: ReadonlySet<Json> = new Set(['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']);
const isType = (value: Json): boolean =>
  Array.isArray(value)
    ? value.length > 0 && isNames(value) && value.every((item) => TYPES.has(item))
    : TYPES.has(value);
const isPattern = (value: Json): boolean => typeof value === 'string' && isSupportedPattern(value);

/** Keywords that are taken over where their value is what JSON Schema expects; others (`xml`, `$id` …) check nothing. */
const PLAIN_KEYWORDS: ReadonlyMap<string, (value: Json) => boolean> = new Map([
  ['type', isType],
  ['enum', isList],
  ['const', isAny],
  ['multipleOf', (value) => isNumber(value) && Number(value) > 0],
  ['maximum', isNumber],
  ['exclusiveMaximum', isNumber],
  ['minimum', isNumber],
  ['exclusiveMinimum', isNumber],
  ['maxLength', isCount],
  ['minLength', isCount],
  ['pattern', isPattern],
  ['maxItems', isCount],
  ['minItems', isCount],
  ['uniqueItems', isFlag],
  ['maxProperties', isCount],
  ['minProperties', isCount],
  ['required', isNames],
  ['format', isText],
]);
const SCHEMA_KEYWORDS = ['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames'];
const LIST_KEYWORDS = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const MAP_KEYWORDS = ['properties', 'patternProperties', 'dependentSchemas'];

/**
 * Makes JSON Schemas (draft 2020-12) that stand for themselves of the schemas in an OpenAPI document: references lead to
 * `$defs`, also where they go in circles; what 3.0 and Swagger write differently is translated; what is only read from a
 * server (`readOnly`) is not required. Bytes are files where `hasFiles` says so, as in forms.
 */
export class RequestSchemas {
  /** Names under `$defs`, by reference. */
  readonly #names = new Map<string, string>();
  /** How many schemas have been made, those of `$defs` included. */
  size = 0;

  constructor(
    private readonly document: OpenApiDocument,
    private readonly hasFiles = false,
  ) {}

  /** A schema around {@link convert}ed ones, with all that they refer to. */
  enclose(schema: JsonObject): JsonObject {
    const definitions: JsonObject = {};
    // Grows while it is gone through: a definition may refer to more. A queue, since chains of references may be long.
    for (const [reference, name] of this.#names) {
      definitions[name] = this.convert(followReference(this.document, reference));
    }
    return this.#names.size === 0 ? schema : { ...schema, $defs: definitions };
  }

  /** Throws BLW_OPENAPI_DOCUMENT for a reference that cannot be followed and a schema that is nested too deeply. */
  convert(schema: Json | undefined, depth = 0): JsonObject | boolean {
    this.size += 1;
    if (depth > MAX_DEPTH) throw badDocument(this.document.label, `a schema is nested deeper than ${MAX_DEPTH} levels`);
    if (typeof schema === 'boolean') return schema;
    if (!isJsonObject(schema)) return true;
    const isModern = this.document.version === '3.1';
    if (typeof schema.$ref !== 'string') return this.#convertObject(schema, depth);
    const reference = this.#refer(schema.$ref);
    // Before 3.1 what stands beside a reference has no meaning.
    return isModern ? { ...this.#convertObject(schema, depth), $ref: reference } : { $ref: reference };
  }

  #refer(reference: string): string {
    const name = this.#names.get(reference) ?? String(this.#names.size);
    this.#names.set(reference, name);
    return `#/$defs/${name}`;
  }

  #convertObject(schema: JsonObject, depth: number): JsonObject {
    if (this.hasFiles && isFile(schema)) return FILE_SCHEMA;
    const converted: JsonObject = {};
    for (const [key, fits] of PLAIN_KEYWORDS) {
      const value = schema[key];
      if (value !== undefined && fits(value)) converted[key] = value;
    }
    for (const key of SCHEMA_KEYWORDS) if (isSchema(schema[key])) converted[key] = this.convert(schema[key], depth + 1);
    for (const key of LIST_KEYWORDS) {
      const list = schema[key];
      if (Array.isArray(list) && list.length > 0) converted[key] = list.map((item) => this.convert(item, depth + 1));
    }
    for (const key of MAP_KEYWORDS)
      if (isJsonObject(schema[key])) converted[key] = this.#convertMap(schema[key], depth);
    dropUnsupportedPatterns(converted);
    translateBounds(schema, converted);
    this.#dropReadOnly(schema, converted);
    return schema.nullable === true ? orNull(converted) : converted;
  }

  #convertMap(map: JsonObject, depth: number): JsonObject {
    const converted: JsonObject = {};
    for (const [key, schema] of Object.entries(map)) setOwn(converted, key, this.convert(schema, depth + 1));
    return converted;
  }

  #dropReadOnly(schema: JsonObject, converted: JsonObject): void {
    const { required } = converted;
    if (!Array.isArray(required)) return;
    const properties = objectOf(schema.properties);
    const isReadOnly = (name: Json): boolean =>
      Object.hasOwn(properties, String(name)) &&
      objectOf(dereference(this.document, properties[String(name)])).readOnly === true;
    converted.required = required.filter((name) => !isReadOnly(name));
  }
}

function isSchema(value: Json | undefined): boolean {
  return typeof value === 'boolean' || isJsonObject(value);
}

/** Bytes: `type: file` in Swagger, `format: binary` in 3.0, a media type or an encoding of the content in 3.1. */
export function isFile({ type, format, contentMediaType, contentEncoding }: JsonObject): boolean {
  return type === 'file' || format === 'binary' || contentMediaType !== undefined || contentEncoding !== undefined;
}

/** Regular expressions that the worker cannot match in linear time (look-around, back references) are left to the server. */
function isSupportedPattern(pattern: string): boolean {
  try {
    linearRegExp(pattern);
    return true;
  } catch {
    return false;
  }
}

function dropUnsupportedPatterns(converted: JsonObject): void {
  if (Object.keys(objectOf(converted.patternProperties)).every(isSupportedPattern)) return;
  delete converted.patternProperties;
  // It would refuse what the patterns allow.
  delete converted.additionalProperties;
}

/** Until 3.0 `exclusiveMinimum: true` made `minimum` exclusive. */
function translateBounds(schema: JsonObject, converted: JsonObject): void {
  for (const [flag, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (schema[flag] !== true || converted[bound] === undefined) continue;
    converted[flag] = converted[bound];
    delete converted[bound];
  }
}

/** `nullable: true` of 3.0; without a type beside it, it has no effect there, but is meant. */
function orNull(converted: JsonObject): JsonObject {
  if (typeof converted.type !== 'string') return { anyOf: [converted, { type: 'null' }] };
  const { enum: allowed } = converted;
  return {
    ...converted,
    type: [converted.type, 'null'],
    ...(Array.isArray(allowed) && !allowed.includes(null) ? { enum: [...allowed, null] } : {}),
  };
}
