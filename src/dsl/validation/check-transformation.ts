import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortJson } from '../problems';
import { checkSchema } from './check-call';
import type { CheckContext } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { checkReference } from './check-reference';
import { checkTimeoutDefinition } from './check-use';
import type { Checker, Path, Shape } from './checker';
import { timeoutMeant } from './explain-duration';

/** `input`, `output` and `export`: a schema, and a transformation under `key`. */
export function checkTransformation(
  value: Json | undefined,
  key: 'from' | 'as',
  site: ExpressionSite,
  { checker, expressions }: CheckContext,
): void {
  if (value === undefined) return;
  const what = String(site.path.at(-1));
  const shape: Shape = {
    optional: ['schema', key],
    example: `{ ${key}: … }`,
    habits: { aliases: { from: 'as', as: 'from' }, advice: schemaHabit(what, value, key) },
  };
  const transformation = checker.shaped(value, site.path, what, shape);
  if (transformation === undefined) return;
  if (transformation[key] !== undefined) {
    expressions.expressionOrObject(transformation[key], `${what}: ${key}`, { ...site, path: [...site.path, key] });
  }
  if (transformation.schema !== undefined)
    checkSchemaDefinition(transformation.schema, [...site.path, 'schema'], checker);
}

/** Keys that describe the data stand in a schema; those that make it, under `from` or `as`. */
function schemaHabit(what: string, value: Json, key: string): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) return {};
  const advice = `a property of the data is described in ${what}: { schema: { document: … } }, and made in ${what}: { ${key}: … }`;
  const keys = Object.keys(value).filter((name) => looksLikeType(value[name]));
  return Object.fromEntries(keys.map((name) => [name.toLowerCase().replace(/[-_]/g, ''), advice]));
}

function looksLikeType(value: Json | undefined): boolean {
  if (isJsonObject(value)) return typeof value.type === 'string';
  return (
    typeof value === 'string' &&
    /^(?:string|str|text|int|integer|number|float|bool|boolean|array|list|object|date)$/i.test(value)
  );
}

/** `{ format?, document }` (OWS dsl-reference, "Schema"). */
function checkSchemaDefinition(value: Json, path: Path, checker: Checker): void {
  const schema = checker.shaped(value, path, 'schema', { optional: ['format', 'document', 'resource'] });
  if (schema === undefined) return;
  if (schema.format !== undefined && !(typeof schema.format === 'string' && /^json(:.*)?$/.test(schema.format))) {
    checker.report(
      'BLW_UNSUPPORTED',
      [...path, 'format'],
      `schema: format ${shortJson(schema.format)} is not supported, there is json`,
    );
  }
  if (schema.resource !== undefined) {
    checker.report(
      'BLW_UNSUPPORTED',
      [...path, 'resource'],
      'schema: resource is not supported yet; put the schema under document',
      'key',
    );
  } else if (schema.document === undefined) {
    checker.report('BLW_KEY_MISSING', path, 'schema needs "document"', 'key');
  } else {
    checkSchema(schema.document, [...path, 'document'], 'schema', checker);
  }
}

/** A timeout: inline, or the name of one of `use.timeouts`. */
export function checkTimeout(value: Json | undefined, path: Path, use: JsonObject, checker: Checker): void {
  if (value === undefined) return;
  const isName = typeof value === 'string' && isJsonObject(use.timeouts) && Object.hasOwn(use.timeouts, value);
  const meant = isName ? undefined : timeoutMeant(value);
  if (meant !== undefined) {
    const message = `timeout: got ${shortJson(value)}, expected { after: DURATION } or the name of one of use.timeouts; write ${meant}`;
    checker.report('BLW_VALUE_INVALID', path, message);
  } else if (typeof value === 'string') checkReference(value, 'timeouts', path, use, checker);
  else checkTimeoutDefinition(value, path, checker);
}
