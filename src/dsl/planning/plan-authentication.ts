import type { ExpressionLanguage } from '../expressions/language';
import { compileObject, compileTemplate, compileUri, type Template } from '../expressions/template';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../json';
import { reference } from './plan-context';

/** Where a call's arguments may have an authentication policy (OWS dsl-reference, "Endpoint", "OpenAPI Call"). */
export const AUTHENTICATION_PLACES: readonly (readonly string[])[] = [
  ['endpoint', 'authentication'],
  ['authentication'],
  ['document', 'endpoint', 'authentication'],
];

/** A call's arguments with every `authentication: { use: NAME }` replaced by what `use.authentications` has. */
export function resolveAuthentication(args: JsonObject, use: JsonObject): JsonObject {
  return AUTHENTICATION_PLACES.reduce((resolved, place) => resolveAt(resolved, place, use), args);
}

function resolveAt(object: JsonObject, [key = '', ...rest]: readonly string[], use: JsonObject): JsonObject {
  const value = getOwn(object, key);
  if (!isJsonObject(value)) return object;
  return { ...object, [key]: rest.length === 0 ? resolvePolicy(value, use) : resolveAt(value, rest, use) };
}

/** An authentication policy, or the one that it names (OWS dsl-reference, "Authentication"). */
function resolvePolicy(policy: JsonObject, use: JsonObject): Json {
  return typeof policy.use === 'string' ? reference(use, 'authentications', policy.use) : policy;
}

/** A policy as a template; `authority` and `endpoints` are URI templates (OWS dsl-reference, "OAUTH2 Authentication"). */
export function planAuthentication(policy: JsonObject, language: ExpressionLanguage): Template {
  return compileObject(policy, (scheme, properties) =>
    isJsonObject(properties) && (scheme === 'oauth2' || scheme === 'oidc')
      ? compileObject(properties, (key, value) => planProperty(key, value, language))
      : compileTemplate(properties, language),
  );
}

function planProperty(key: string, value: Json, language: ExpressionLanguage): Template {
  if (key === 'authority' && typeof value === 'string') return compileUri(value, language);
  if (key !== 'endpoints' || !isJsonObject(value)) return compileTemplate(value, language);
  return compileObject(value, (_, path) =>
    typeof path === 'string' ? compileUri(path, language) : compileTemplate(path, language),
  );
}
