import type { ExpressionLanguage } from '../expressions/language';
import { secretReferences } from '../expressions/secret-references';
import { type Template, templateExpressions } from '../expressions/template';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../json';
import { distinctPaths, type SecretPolicy, type SecretsPlan } from '../secrets';
import { AUTHENTICATION_PLACES } from './plan-authentication';

/** The parts of a call that may have secrets. */
export interface CallParts {
  /** `with`, names of authentications resolved. */
  readonly args: JsonObject;
  /** What is evaluated: the arguments, and `input.from`. */
  readonly templates: readonly Template[];
}

/** The secrets of a call, by name; undefined where it has none. */
export function planSecrets({ args, templates }: CallParts, language: ExpressionLanguage): SecretsPlan | undefined {
  const expressions = templates.flatMap((template) => [...templateExpressions(template)]);
  const paths = distinctPaths(expressions.flatMap((expression) => secretReferences(expression, language).paths));
  const policies = AUTHENTICATION_PLACES.flatMap((at) => secretPolicies(args, at));
  if (paths.length === 0 && policies.length === 0) return undefined;
  return { ...(paths.length === 0 ? {} : { paths }), ...(policies.length === 0 ? {} : { policies }) };
}

function secretPolicies(args: JsonObject, at: readonly string[]): SecretPolicy[] {
  let policy: Json | undefined = args;
  for (const key of at) policy = isJsonObject(policy) ? getOwn(policy, key) : undefined;
  if (!isJsonObject(policy)) return [];
  return Object.entries(policy).flatMap(([scheme, properties]) =>
    isJsonObject(properties) && typeof properties.use === 'string'
      ? [{ at: [...at, scheme], name: properties.use }]
      : [],
  );
}
