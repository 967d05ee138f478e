import type { ExpressionLanguage } from '../expressions/language';
import { secretReferences } from '../expressions/secret-references';
import { compileTemplate, templateExpressions } from '../expressions/template';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../json';
import { distinctPaths, type SecretPath, type SecretPolicy, type SecretsPlan } from '../secrets';
import { AUTHENTICATION_PLACES } from './plan-authentication';

/**
 * The secrets of a call, from its `input` and its arguments as the author wrote them, names of authentications resolved.
 * Undefined where it has none.
 */
export function planSecrets(
  { input, args }: { input: Json | undefined; args: JsonObject },
  language: ExpressionLanguage,
): SecretsPlan | undefined {
  const from = isJsonObject(input) ? (input.from ?? null) : null;
  const paths = distinctPaths([...pathsIn(from, language, true), ...pathsIn(args, language, false)]);
  const policies = AUTHENTICATION_PLACES.flatMap((at) => secretPolicies(args, at));
  if (paths.length === 0 && policies.length === 0) return undefined;
  return { ...(paths.length === 0 ? {} : { paths }), ...(policies.length === 0 ? {} : { policies }) };
}

/** `isExpression`: text is an expression also without `${ }`. */
function pathsIn(value: Json, language: ExpressionLanguage, isExpression: boolean): SecretPath[] {
  const expressions = [...templateExpressions(compileTemplate(value))];
  if (isExpression && typeof value === 'string' && expressions.length === 0) expressions.push(value);
  return expressions.flatMap((expression) => secretReferences(expression, language).paths);
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
