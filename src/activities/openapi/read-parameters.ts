import { getOwn, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { dereference, listOf, objectOf, textOf } from './openapi-document';
import type { Parameter, ParameterPlace } from './operation';
import type { OperationSite } from './operation-site';

/** A parameter before it is known whether its name is another one's, too. */
export type ReadParameter = Omit<Parameter, 'key'>;

/** Parameters of the operation and those of its path that it does not replace; references resolved. */
export function parametersOf({ document, pathItem, operation }: OperationSite): JsonObject[] {
  const byPlace = new Map<string, JsonObject>();
  for (const item of [...listOf(pathItem.parameters), ...listOf(operation.parameters)]) {
    const parameter = dereference(document, item);
    if (!isJsonObject(parameter)) continue;
    byPlace.set(`${String(parameter.in)} ${String(parameter.name)}`, parameter);
  }
  return [...byPlace.values()];
}

/** Parameters with the names that flows give them by. */
export function withKeys(parameters: readonly ReadParameter[], bodyKey: string | undefined): Parameter[] {
  const uses = new Map<string, number>(bodyKey === undefined ? [] : [[bodyKey, 1]]);
  for (const { name } of parameters) uses.set(name, (uses.get(name) ?? 0) + 1);
  return parameters.map((parameter) => {
    const { name, in: place } = parameter;
    return { ...parameter, key: uses.get(name) === 1 ? name : `${place}.${name}` };
  });
}

/**
 * API keys that the operation's `security` asks for and no parameter carries. All of them are optional: requirements are
 * alternatives, and a key may also come in `authentication`.
 */
export function apiKeysOf(
  { document, operation }: OperationSite,
  schemes: Json | undefined,
  parameters: readonly ReadParameter[],
): ReadParameter[] {
  const named = listOf(operation.security ?? document.root.security).flatMap((need) => Object.keys(objectOf(need)));
  return [...new Set(named)].flatMap((scheme) => {
    const { type, name, in: place } = objectOf(dereference(document, getOwn(objectOf(schemes), scheme)));
    if (type !== 'apiKey' || typeof name !== 'string' || !isKeyPlace(place)) return [];
    if (parameters.some((parameter) => parameter.name === name && parameter.in === place)) return [];
    const style = place === 'header' ? 'simple' : 'form';
    const form = { style, explode: false, allowReserved: false, isJson: false } as const;
    return [{ name, in: place, required: false, isList: false, schema: { type: 'string' }, ...form }];
  });
}

/** True where a schema is one of lists, so that a lone value is meant as a list of one. */
export function isListSchema({ document }: OperationSite, schema: Json | undefined): boolean {
  const { type } = objectOf(dereference(document, schema));
  return type === 'array' || (Array.isArray(type) && type.includes('array') && !type.includes('string'));
}

/** A parameter's name. */
export function nameOf(parameter: JsonObject): string {
  return textOf(parameter.name) ?? '';
}

/** True for where parameters may be that are not in the body. */
export function isPlace(place: Json | undefined): place is ParameterPlace {
  return place === 'path' || isKeyPlace(place);
}

function isKeyPlace(place: Json | undefined): place is 'query' | 'header' | 'cookie' {
  return place === 'query' || place === 'header' || place === 'cookie';
}
