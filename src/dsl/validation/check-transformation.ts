import type { Json, JsonObject } from '../json';
import { shortJson } from '../problems';
import { checkSchema } from './check-call';
import type { CheckContext } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { checkReference } from './check-reference';
import { checkTimeoutDefinition } from './check-use';
import type { Checker, Path } from './checker';

/** `input`, `output` and `export`: a schema, and a transformation under `key`. */
export function checkTransformation(
  value: Json | undefined,
  key: 'from' | 'as',
  site: ExpressionSite,
  { checker, expressions }: CheckContext,
): void {
  if (value === undefined) return;
  const what = String(site.path.at(-1));
  const transformation = checker.shaped(value, site.path, what, { optional: ['schema', key] });
  if (transformation === undefined) return;
  if (transformation[key] !== undefined) {
    expressions.expressionOrObject(transformation[key], `${what}: ${key}`, { ...site, path: [...site.path, key] });
  }
  if (transformation.schema !== undefined)
    checkSchemaDefinition(transformation.schema, [...site.path, 'schema'], checker);
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
  if (typeof value === 'string') checkReference(value, 'timeouts', path, use, checker);
  else checkTimeoutDefinition(value, path, checker);
}
