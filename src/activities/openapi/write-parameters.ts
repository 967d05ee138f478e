import { getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { shortJson } from '../../dsl/problems';
import { type BlockFailure, notRetryable } from '../block-failure';
import { badDocument, type OpenApiDocument } from './openapi-document';
import type { Operation, Parameter, ParameterPlace, ParameterStyle, ValueForm } from './operation';

/** Between the items of a list that is one value; already percent-encoded where a URL needs it. */
const DELIMITERS: Readonly<Partial<Record<ParameterStyle, string>>> = {
  spaceDelimited: '%20',
  pipeDelimited: '%7C',
  tabDelimited: '%09',
};

/** Reserved characters that may stand as they are where `allowReserved` asks for it; the others would end the value. */
const RESERVED = /%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)/g;

/**
 * The URL of an operation with its path and query parameters.
 * Throws BLW_ARG_INVALID for values that cannot stand in a URL, BLW_OPENAPI_DOCUMENT for a path with an unknown `{name}`.
 */
export function writeUrl(document: OpenApiDocument, operation: Operation, values: JsonObject): string {
  const path = operation.path.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const parameter = operation.parameters.find((candidate) => candidate.in === 'path' && candidate.name === name);
    const value = parameter === undefined ? undefined : getOwn(values, parameter.key);
    if (parameter !== undefined && value !== undefined) return writePathValue(parameter, value);
    throw badDocument(document.label, `the path ${shortJson(operation.path)} has {${name}}, but no such parameter`);
  });
  checkPath(path);
  const query = given(operation, values, 'query').flatMap(([parameter, value]) =>
    writePairs(parameter.name, value, parameter, encoderOf(parameter)),
  );
  return `${operation.server}${encodeHash(path)}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

/** The headers that an operation's parameters make, `cookie` included. */
export function writeHeaders(operation: Operation, values: JsonObject): JsonObject {
  const headers: JsonObject = {};
  for (const [parameter, value] of given(operation, values, 'header')) {
    setOwn(
      headers,
      parameter.name,
      parameter.isJson ? JSON.stringify(value) : writeSimple(value, parameter.explode, String),
    );
  }
  const cookies = given(operation, values, 'cookie').flatMap(([parameter, value]) =>
    writePairs(parameter.name, value, parameter, encoderOf(parameter)),
  );
  if (cookies.length > 0) headers.Cookie = cookies.join('; ');
  return headers;
}

/** `name=value` for a query, a form or cookies, as the style says; several where it is exploded. */
export function writePairs(name: string, value: Json, form: ValueForm, encode: (text: string) => string): string[] {
  const pair = (key: string, text: string): string => `${encodeText(key)}=${text}`;
  if (form.isJson) return [pair(name, encode(JSON.stringify(value)))];
  if (form.style === 'deepObject') return deepPairs(name, value).map(([key, text]) => pair(key, encode(text)));
  if (Array.isArray(value)) {
    const items = value.filter((item) => item !== null).map((item) => encode(textOfScalar(item)));
    if (form.explode) return items.map((item) => pair(name, item));
    return items.length === 0 ? [] : [pair(name, items.join(DELIMITERS[form.style] ?? ','))];
  }
  if (!isJsonObject(value)) return [pair(name, encode(textOfScalar(value)))];
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  if (form.explode) return entries.map(([key, item]) => pair(key, encode(textOfScalar(item))));
  const flat = entries.flatMap(([key, item]) => [encode(key), encode(textOfScalar(item))]);
  return [pair(name, flat.join(DELIMITERS[form.style] ?? ','))];
}

/** Percent-encodes all but unreserved characters. Throws BLW_ARG_INVALID for what UTF-8 cannot write. */
export function encodeText(text: string): string {
  if (/\p{Surrogate}/u.test(text)) {
    throw badValue('got half of a surrogate pair', 'text that UTF-8 can write');
  }
  return encodeURIComponent(text);
}

/** A value as the text that stands for it: JSON where it is a list or an object. */
export function textOfScalar(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function given(operation: Operation, values: JsonObject, place: ParameterPlace): [Parameter, Json][] {
  return operation.parameters.flatMap((parameter): [Parameter, Json][] => {
    const value = parameter.in === place ? getOwn(values, parameter.key) : undefined;
    return value === undefined ? [] : [[parameter, value]];
  });
}

function encoderOf({ allowReserved }: ValueForm): (text: string) => string {
  return allowReserved ? (text) => encodeText(text).replace(RESERVED, decodeURIComponent) : encodeText;
}

function writePathValue(parameter: Parameter, value: Json): string {
  const { name, style, explode } = parameter;
  const text = parameter.isJson ? encodeText(JSON.stringify(value)) : writeSimple(value, explode, encodeText, style);
  if (text === '')
    throw badValue(`got nothing for ${shortJson(name)}`, 'a value; the path would be another one without it');
  if (style === 'label') return `.${text}`;
  if (style !== 'matrix') return text;
  return explode && typeof value === 'object' ? matrixPairs(name, value) : `;${encodeText(name)}=${text}`;
}

function matrixPairs(name: string, value: Json): string {
  const pairs = Array.isArray(value)
    ? value.map((item): [string, Json] => [name, item])
    : Object.entries(value as JsonObject);
  return pairs.map(([key, item]) => `;${encodeText(key)}=${encodeText(textOfScalar(item))}`).join('');
}

function writeSimple(value: Json, explode: boolean, encode: (text: string) => string, style = 'simple'): string {
  const delimiter = style === 'label' && explode ? '.' : ',';
  if (Array.isArray(value)) return value.map((item) => encode(textOfScalar(item))).join(delimiter);
  if (!isJsonObject(value)) return encode(textOfScalar(value));
  return Object.entries(value)
    .map(([key, item]) => `${encode(key)}${explode ? '=' : ','}${encode(textOfScalar(item))}`)
    .join(delimiter);
}

/** `filter[size][from]`, as servers in wide use read it; OpenAPI says nothing of objects in objects. */
function deepPairs(name: string, value: Json): [string, string][] {
  if (value === null) return [];
  if (Array.isArray(value))
    return value.flatMap((item) => deepPairs(name, isJsonObject(item) ? textOfScalar(item) : item));
  if (!isJsonObject(value)) return [[name, textOfScalar(value)]];
  return Object.entries(value).flatMap(([key, item]) => deepPairs(`${name}[${key}]`, item));
}

/** URLs resolve dots, also encoded ones: `..` for an id would be another resource. */
function checkPath(path: string): void {
  if (!path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) return;
  throw badValue('got "." or ".." for a part of the path', 'a name that stays in its place');
}

/** What of a path's own text would end it. */
function encodeHash(path: string): string {
  return path.replaceAll('#', '%23').replaceAll('?', '%3F');
}

function badValue(got: string, expected: string): BlockFailure {
  return notRetryable('BLW_ARG_INVALID', `openapi: parameters: ${got}, expected ${expected}`);
}
