import Ajv, { type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { messageOf } from '../errors';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, shortJson, shortText } from '../problems';
import { linearRegExp } from '../regular-expression';
import { describeMismatch, type Mismatch } from './schema-words';

/** One way in which data does not match a schema. */
export interface SchemaViolation {
  /** Keys and indexes from the root of the data. */
  readonly path: readonly string[];
  readonly message: string;
  /** The message without the value, which may be a secret; absent: there is none in it. */
  readonly withoutValue?: string;
  /** The offending key, where the violation is about a key and not about a value. */
  readonly key?: string;
  /** Keys that are known where the offending one stands. */
  readonly known?: readonly string[];
  /** The key that is missing. */
  readonly missing?: string;
  /** The value is of another type than the schema says. */
  readonly isType?: boolean;
}

export type SchemaCheck = (data: Json) => SchemaViolation[];

/** A JSON Schema that is not one: what is wrong, and where in the schema. */
export class InvalidSchemaError extends Error {
  override readonly name = 'InvalidSchemaError';

  constructor(
    message: string,
    readonly path: readonly string[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Most violations that are reported of one value; a hostile value could otherwise make thousands. */
const MAX_VIOLATIONS = 50;

const DRAFT_7 = /^http:\/\/json-schema\.org\/draft-07\/schema#?$/;
const DRAFT_2020_12 = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;

const OPTIONS: Options = {
  allErrors: true,
  strict: false,
  verbose: true,
  logger: false,
  // An object has no `constructor` or `toString` but its own.
  ownProperties: true,
  code: { regExp: Object.assign(linearRegExp, { code: 'linearRegExp' }) },
};

/** They check schemas, and nothing is ever compiled in them; making one takes 25 ms, mostly for the draft's own schema. */
const META_CHECKERS = { draft7: new Ajv(OPTIONS), draft2020: new Ajv2020(OPTIONS) };

/**
 * Compiles a JSON Schema: draft 2020-12, or draft 7 where `$schema` says so. Nothing is fetched: a `$ref` reaches
 * only into the schema itself. Throws {@link InvalidSchemaError}.
 */
export function compileSchema(schema: Json): SchemaCheck {
  if (typeof schema !== 'boolean' && !isJsonObject(schema)) {
    throw new InvalidSchemaError(`got ${describeJsonType(schema)}, expected a JSON Schema (an object)`);
  }
  const draft = draftOf(schema);
  checkAgainstDraft(schema, draft);
  const validate = compile(schema, draft);
  return (data) => violationsOf(validate, data, validate);
}

const ENDLESS = 'the schema refers to itself without an end';

/** `report` has the errors of the latest check. */
function violationsOf(
  isValid: (data: Json) => boolean,
  data: Json,
  report: { readonly errors?: ErrorObject[] | null },
): SchemaViolation[] {
  try {
    return isValid(data) ? [] : (report.errors ?? []).slice(0, MAX_VIOLATIONS).map(toViolation);
  } catch (error) {
    return [{ path: [], message: explainCrash(error) }];
  }
}

/** The library recurses without a limit, and compares objects by their `requireValue`, which may be a key of theirs. */
function explainCrash(error: unknown): string {
  if (error instanceof RangeError) return `${ENDLESS}, or the value is nested too deeply for it`;
  if (error instanceof TypeError) return 'objects with a key "requireValue" or "toString" cannot be compared';
  throw error;
}

function draftOf(schema: boolean | JsonObject): keyof typeof META_CHECKERS {
  const uri = isJsonObject(schema) ? schema.$schema : undefined;
  if (uri === undefined || (typeof uri === 'string' && DRAFT_2020_12.test(uri))) return 'draft2020';
  if (typeof uri === 'string' && DRAFT_7.test(uri)) return 'draft7';
  throw new InvalidSchemaError(`$schema: got ${shortJson(uri)}, drafts 7 and 2020-12 are understood`, ['$schema']);
}

function checkAgainstDraft(schema: boolean | JsonObject, draft: keyof typeof META_CHECKERS): void {
  // The library would answer with a promise, which counts as true.
  if (isJsonObject(schema) && schema.$async !== undefined) {
    throw new InvalidSchemaError('$async is not a keyword of JSON Schema', ['$async']);
  }
  const checker = META_CHECKERS[draft];
  const [violation] = violationsOf((data) => checker.validateSchema(data as JsonObject) === true, schema, checker);
  if (violation === undefined) return;
  const { path, message } = violation;
  throw new InvalidSchemaError(path.length === 0 ? message : `${path.join('.')}: ${message}`, path);
}

function compile(schema: boolean | JsonObject, draft: keyof typeof META_CHECKERS): ValidateFunction {
  // One for each schema: an `$id` would else be known to the schemas of other flows.
  const ajv = new (draft === 'draft7' ? Ajv : Ajv2020)({ ...OPTIONS, validateSchema: false, meta: false });
  addFormats(ajv);
  try {
    return ajv.compile(schema);
  } catch (cause) {
    if (cause instanceof RangeError) throw new InvalidSchemaError(ENDLESS, [], { cause });
    const message = messageOf(cause);
    const reference = /^can't resolve reference (\S+)/.exec(message)?.[1];
    throw new InvalidSchemaError(
      reference === undefined
        ? shortText(message, 200)
        : `$ref ${shortText(reference)} is not in the schema; nothing is fetched, put it under $defs`,
      [],
      { cause },
    );
  }
}

function toViolation(error: ErrorObject): SchemaViolation {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  const key = offendingKey(error);
  const { message, withoutValue } = describe(error);
  const { missingProperty } = error.params as Record<string, unknown>;
  return {
    path,
    message,
    ...(withoutValue === message ? {} : { withoutValue }),
    ...(key === undefined ? {} : { key, known: knownKeys(error.parentSchema) }),
    ...(error.keyword === 'required' ? { missing: String(missingProperty) } : {}),
    ...(error.keyword === 'type' ? { isType: true } : {}),
  };
}

function offendingKey({ params }: ErrorObject): string | undefined {
  const { additionalProperty, unevaluatedProperty } = params as Record<string, unknown>;
  const key = additionalProperty ?? unevaluatedProperty;
  return typeof key === 'string' ? key : undefined;
}

function describe(error: ErrorObject): Mismatch {
  const told = describeMismatch(error);
  if (told !== undefined) return told;
  const message = describeKey(error) ?? error.message ?? error.keyword;
  return { message, withoutValue: message };
}

function describeKey(error: ErrorObject): string | undefined {
  switch (error.keyword) {
    case 'required':
      return `"${String((error.params as Record<string, unknown>).missingProperty)}" is missing`;
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return describeUnknownKey(offendingKey(error) ?? '', error.parentSchema);
    default:
      return undefined;
  }
}

function knownKeys(parentSchema: unknown): string[] {
  return Object.keys((parentSchema as JsonObject | undefined)?.properties ?? {});
}

function describeUnknownKey(key: string, parentSchema: unknown): string {
  const known = knownKeys(parentSchema);
  const meant = closestName(key, known);
  if (meant !== undefined) return `"${key}" is not known; did you mean "${meant}"?`;
  return `"${shortText(key)}" is not known; there ${known.length === 1 ? 'is' : 'are'}: ${listNames(known)}`;
}
