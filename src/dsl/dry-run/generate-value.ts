import { getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../json';

/** Deeper, a value is left empty: schemas may contain themselves. */
const MAX_DEPTH = 12;

/** Most items and properties that are made of one schema. */
const MAX_ITEMS = 20;

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

/**
 * The same value for the same JSON Schema, always: `const`, `default`, the first of `examples` or `enum`, else the least that the schema
 * asks for. Where it names what is required, only that is made. What it says by conditions or patterns is not followed.
 */
export function generateValue(schema: Json | undefined, root: Json | undefined = schema, depth = 0): Json {
  if (!isJsonObject(schema) || depth > MAX_DEPTH) return {};
  const { const: fixed, default: usual, examples, enum: choices } = schema;
  if (fixed !== undefined) return fixed;
  if (usual !== undefined) return usual;
  if (Array.isArray(examples) && examples[0] !== undefined) return examples[0];
  if (Array.isArray(choices) && choices[0] !== undefined) return choices[0];
  if (typeof schema.$ref === 'string') return generateValue(referred(schema.$ref, root), root, depth + 1);
  const parts = [schema.allOf, schema.oneOf, schema.anyOf].find((list) => Array.isArray(list) && list.length > 0);
  if (Array.isArray(parts) && schema.type === undefined) return generateOfParts(schema, parts, root, depth);
  return generateOfType(schema, root, depth);
}

/** All of `allOf` together; of the others, the first. */
function generateOfParts(schema: JsonObject, parts: readonly Json[], root: Json | undefined, depth: number): Json {
  if (schema.allOf !== parts) return generateValue(parts[0], root, depth + 1);
  const values = parts.slice(0, MAX_ITEMS).map((part) => generateValue(part, root, depth + 1));
  return values.every(isJsonObject) ? Object.assign({}, ...values) : (values[0] ?? {});
}

function generateOfType(schema: JsonObject, root: Json | undefined, depth: number): Json {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object' || (type === undefined && isJsonObject(schema.properties)))
    return generateObject(schema, root, depth);
  if (type === 'array') {
    const count = Math.min(MAX_ITEMS, Number(schema.minItems ?? 0));
    return Array.from({ length: count }, () => generateValue(schema.items, root, depth + 1));
  }
  if (type === 'string') return generateText(schema);
  if (type === 'number' || type === 'integer') return generateNumber(schema);
  return type === 'boolean' ? false : type === 'null' ? null : {};
}

function generateObject({ properties, required }: JsonObject, root: Json | undefined, depth: number): JsonObject {
  const known = isJsonObject(properties) ? properties : {};
  const names = Array.isArray(required) ? required.filter((name) => typeof name === 'string') : Object.keys(known);
  const made: JsonObject = {};
  for (const name of names.slice(0, 100)) setOwn(made, name, generateValue(getOwn(known, name), root, depth + 1));
  return made;
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
  let value = root;
  for (const segment of reference.slice(1).split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    value = isJsonObject(value) ? getOwn(value, key) : undefined;
  }
  return value;
}
