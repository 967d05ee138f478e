import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { parseMediaType } from '../http/media-type';
import { dereference, listOf, type OpenApiDocument, objectOf } from './openapi-document';
import type { BodyKind } from './operation';
import { isFile } from './request-schema';

const KINDS: readonly BodyKind[] = ['json', 'form', 'multipart', 'text', 'binary'];

/** Most schemas that are looked through for the properties of one that is combined of them. */
const MAX_COMBINED = 500;

/** How a body of that media type is encoded; wildcards are taken for JSON where that fits. */
export function bodyKindOf(mediaType: string): BodyKind {
  const essence = essenceOf(mediaType);
  if (essence === '*/*' || essence === 'application/*') return 'json';
  if (essence === 'application/x-www-form-urlencoded') return 'form';
  if (essence === 'multipart/form-data') return 'multipart';
  return parseMediaType(essence).kind;
}

/** Of several media types the one whose kind comes first in the order JSON, form, multipart, text, binary. */
export function preferredMediaType(mediaTypes: readonly string[]): string | undefined {
  return KINDS.flatMap((kind) => mediaTypes.filter((mediaType) => bodyKindOf(mediaType) === kind))[0];
}

/** A media type that can be sent: no wildcards, text in UTF-8. */
export function concreteMediaType(mediaType: string, kind: BodyKind): string {
  if (kind === 'text') {
    const concrete = mediaType.includes('*') ? 'text/plain' : mediaType;
    return /;\s*charset=/i.test(concrete) ? concrete : `${concrete}; charset=utf-8`;
  }
  if (!mediaType.includes('*')) return mediaType;
  return kind === 'json' ? 'application/json' : 'application/octet-stream';
}

/** The header `accept` for answers in these media types: JSON where there is some, since that becomes data. */
export function acceptOf(mediaTypes: readonly string[]): string | undefined {
  const json = mediaTypes.find((mediaType) => parseMediaType(mediaType).kind === 'json');
  const wanted = json === undefined ? [...new Set(mediaTypes)] : [json];
  return wanted.length === 0 ? undefined : wanted.join(', ');
}

/** Names of the properties that an object's schema has, also by `allOf`; `any` where it names none but allows them. */
export function propertyNamesOf(document: OpenApiDocument, schema: Json | undefined): ReadonlySet<string> | 'any' {
  const names = new Set<string>();
  collectNames(document, schema, names, new Set());
  if (names.size > 0) return names;
  const { type, additionalProperties } = objectOf(dereference(document, schema));
  const takesObjects = type === undefined || [type].flat().includes('object');
  return takesObjects && additionalProperties !== false ? 'any' : names;
}

/** Names of a form's properties that are files, or lists of them. */
export function fileNamesOf(document: OpenApiDocument, schema: Json | undefined): ReadonlySet<string> {
  const { properties } = objectOf(dereference(document, schema));
  const names = Object.entries(objectOf(properties)).filter(([, property]) => {
    const resolved = objectOf(dereference(document, property));
    return isFile(resolved) || isFile(objectOf(dereference(document, resolved.items)));
  });
  return new Set(names.map(([name]) => name));
}

function collectNames(
  document: OpenApiDocument,
  schema: Json | undefined,
  names: Set<string>,
  seen: Set<JsonObject>,
): void {
  const resolved = dereference(document, schema);
  // Combined schemas may go in circles, and fan out without a bound when each is gone through again.
  if (!isJsonObject(resolved) || seen.has(resolved) || seen.size === MAX_COMBINED) return;
  seen.add(resolved);
  for (const name of Object.keys(objectOf(resolved.properties))) names.add(name);
  for (const key of ['allOf', 'anyOf', 'oneOf']) {
    for (const part of listOf(resolved[key])) collectNames(document, part, names, seen);
  }
}

function essenceOf(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}
