import Ajv, { type ErrorObject, type ValidateFunction } from 'ajv';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName } from '../problems';

/** One way in which data does not match a schema. */
export interface SchemaViolation {
  /** Keys and indexes from the root of the data. */
  readonly path: readonly string[];
  readonly message: string;
  /** The offending key, where the violation is about a key and not about a value. */
  readonly key?: string;
}

export type SchemaCheck = (data: Json) => SchemaViolation[];

/** Most violations that are reported of one value; a hostile value could otherwise make thousands. */
const MAX_VIOLATIONS = 50;

/**
 * Compiles a JSON Schema: draft 2020-12, or draft 7 where `$schema` says so. Nothing is fetched: a `$ref` reaches
 * only into the schema itself. Throws an Error that says what is wrong with the schema.
 */
export function compileSchema(schema: Json): SchemaCheck {
  if (typeof schema !== 'boolean' && !isJsonObject(schema)) {
    throw new Error(`got ${describeJsonType(schema)}, expected a JSON Schema (an object)`);
  }
  const isDraft7 = isJsonObject(schema) && typeof schema.$schema === 'string' && schema.$schema.includes('draft-07');
  const ajv = new (isDraft7 ? Ajv : Ajv2020)({ allErrors: true, strict: false, verbose: true, logger: false });
  addFormats(ajv);
  const validate: ValidateFunction = ajv.compile(schema);
  return (data) => (validate(data) ? [] : (validate.errors ?? []).slice(0, MAX_VIOLATIONS).map(toViolation));
}

function toViolation(error: ErrorObject): SchemaViolation {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  const key = offendingKey(error);
  return { path, message: describe(error), ...(key === undefined ? {} : { key }) };
}

function offendingKey({ params }: ErrorObject): string | undefined {
  const { additionalProperty, unevaluatedProperty } = params as Record<string, unknown>;
  const key = additionalProperty ?? unevaluatedProperty;
  return typeof key === 'string' ? key : undefined;
}

function describe(error: ErrorObject): string {
  const params = error.params as Record<string, Json>;
  switch (error.keyword) {
    case 'required':
      return `"${String(params.missingProperty)}" is missing`;
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return describeUnknownKey(offendingKey(error) ?? '', error.parentSchema);
    case 'type':
      return `got ${describeJsonType(error.data)}, expected ${[params.type ?? ''].flat().join(' or ')}`;
    case 'enum':
      return `got ${shorten(error.data)}, expected one of ${(params.allowedValues as Json[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'const':
      return `got ${shorten(error.data)}, expected ${JSON.stringify(params.allowedValue)}`;
    default:
      return `${error.message ?? error.keyword} (got ${shorten(error.data)})`;
  }
}

function describeUnknownKey(key: string, parentSchema: unknown): string {
  const known = Object.keys((parentSchema as JsonObject | undefined)?.properties ?? {});
  const meant = closestName(key, known);
  if (meant !== undefined) return `"${key}" is not known; did you mean "${meant}"?`;
  return `"${key}" is not known; there ${known.length === 1 ? 'is' : 'are'}: ${known.join(', ') || 'none'}`;
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
