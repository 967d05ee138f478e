import { jsonBytes } from '../encoded-json';
import { getOwn, isJsonObject, type Json, type JsonObject, jsonAt, setOwn } from '../json';
import { fromJsonPointer } from '../problems';

/** Deeper, a value is left empty: schemas may contain themselves. */
const MAX_DEPTH = 12;

/** Most items of a list, and parts and properties of an object. */
const MAX_ITEMS = 20;
const MAX_PROPERTIES = 100;

/** Values of well-known formats: always the same, so that a report is too. */
const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2000-01-01T00:00:00Z',
  date: '2000-01-01',
  time: '00:00:00Z',
  duration: 'PT0S',
  email: 'someone@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  'uri-reference': '/',
  uuid: '00000000-0000-0000-0000-000000000000',
};

/** Most values that one schema makes, those inside of others among them: a schema of 100 bytes that refers to itself can ask for millions. */
const MAX_VALUES = 1_000;

/** Of values that the schema has as they are (`const`, `default` …), in all, in bytes of JSON. */
const MAX_COPIED_BYTES = 262_144;

/**
 * The same value for the same JSON Schema, always: `const`, `default`, the first of `examples` or `enum`, else the least that the schema
 * asks for. Where it names what is required, only that is made. What it says by conditions or patterns is not followed, and what there is
 * no room for is an empty object.
 */
export function generateValue(schema: Json | undefined): Json {
  return new Generator(schema).value(schema, 0);
}

class Generator {
  #values = 0;
  #bytes = 0;

  constructor(private readonly root: Json | undefined) {}

  value(schema: Json | undefined, depth: number): Json {
    this.#values += 1;
    if (!isJsonObject(schema) || depth > MAX_DEPTH || this.#values > MAX_VALUES) return {};
    const { const: fixed, default: usual, examples, enum: choices } = schema;
    const given = [fixed, usual, firstOf(examples), firstOf(choices)].find((value) => value !== undefined);
    if (given !== undefined) return this.#copy(given);
    if (typeof schema.$ref === 'string') return this.value(referred(schema.$ref, this.root), depth + 1);
    const parts = [schema.allOf, schema.oneOf, schema.anyOf].find((list) => Array.isArray(list) && list.length > 0);
    if (Array.isArray(parts) && schema.type === undefined) return this.#ofParts(schema, parts, depth);
    return this.#ofType(schema, depth);
  }

  #copy(value: Json): Json {
    if (this.#bytes <= MAX_COPIED_BYTES) this.#bytes += jsonBytes(value);
    return this.#bytes <= MAX_COPIED_BYTES ? value : {};
  }

  /** All of `allOf` together; of the others, the first. */
  #ofParts(schema: JsonObject, parts: readonly Json[], depth: number): Json {
    if (schema.allOf !== parts) return this.value(parts[0], depth + 1);
    const values = parts.slice(0, MAX_ITEMS).map((part) => this.value(part, depth + 1));
    return values.every(isJsonObject) ? Object.assign({}, ...values) : (values[0] ?? {});
  }

  #ofType(schema: JsonObject, depth: number): Json {
    const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
    if (type === 'object' || (type === undefined && isJsonObject(schema.properties)))
      return this.#object(schema, depth);
    if (type === 'array') {
      const count = Math.min(MAX_ITEMS, Number(schema.minItems ?? 0));
      return Array.from({ length: count }, () => this.value(schema.items, depth + 1));
    }
    if (type === 'string') return generateText(schema);
    if (type === 'number' || type === 'integer') return generateNumber(schema);
    return type === 'boolean' ? false : type === 'null' ? null : {};
  }

  #object({ properties, required }: JsonObject, depth: number): JsonObject {
    const known = isJsonObject(properties) ? properties : {};
    const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : Object.keys(known);
    const made: JsonObject = {};
    for (const name of names.slice(0, MAX_PROPERTIES)) setOwn(made, name, this.value(getOwn(known, name), depth + 1));
    return made;
  }
}

function firstOf(list: Json | undefined): Json | undefined {
  return Array.isArray(list) ? list[0] : undefined;
}

function generateText({ format, minLength }: JsonObject): string {
  const text = typeof format === 'string' ? (getOwn(FORMATS as JsonObject, format) as string | undefined) : undefined;
  return (text ?? '').padEnd(Math.min(1_000, Number(minLength ?? 0)), 'x');
}

function generateNumber({ type, minimum, exclusiveMinimum }: JsonObject): number {
  const least = typeof exclusiveMinimum === 'number' ? exclusiveMinimum + 1 : minimum;
  const value = typeof least === 'number' ? Math.max(0, least) : 0;
  return type === 'integer' ? Math.ceil(value) : value;
}

/** What a reference within the document names (RFC 6901); anything else is not looked up. */
function referred(reference: string, root: Json | undefined): Json | undefined {
  if (!reference.startsWith('#')) return undefined;
  return jsonAt(root, fromJsonPointer(reference.slice(1)));
}
