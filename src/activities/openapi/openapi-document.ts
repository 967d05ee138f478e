import { parseDocumentText } from '../../dsl/document';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { shortJson, shortText } from '../../dsl/problems';
import { type BlockFailure, notRetryable } from '../block-failure';
import type { Operation } from './operation';

/** Kinds of document that are understood. */
export type OpenApiVersion = '2.0' | '3.0' | '3.1';

/** A document as it was fetched. */
export interface OpenApiDocument {
  readonly version: OpenApiVersion;
  readonly root: JsonObject;
  /** Where it came from, after redirects: relative servers start there. */
  readonly url: URL;
  /** For messages: the URL without its query. */
  readonly label: string;
  /** Operations that were read before, by operationId. */
  readonly operations: Map<string, Operation>;
}

/** Most references that may lead from one to the next. */
const MAX_REFERENCES = 50;

/**
 * Reads a document of OpenAPI 3.0, 3.1 or Swagger 2.0 from JSON or YAML text in UTF-8.
 * Throws BLW_OPENAPI_DOCUMENT (not retryable).
 */
export function parseOpenApiDocument(bytes: Buffer, url: URL, label: string): OpenApiDocument {
  const root = parseText(decodeUtf8(bytes, label), label);
  if (!isJsonObject(root)) throw badDocument(label, `got ${shortJson(root)}, expected an object`);
  return { version: versionOf(root, label), root, url, label, operations: new Map() };
}

/** The failure BLW_OPENAPI_DOCUMENT (not retryable): got what, expected what. */
export function badDocument(label: string, detail: string, cause?: unknown): BlockFailure {
  return notRetryable('BLW_OPENAPI_DOCUMENT', `OpenAPI document ${label}: ${detail}`, { cause });
}

/** An object of the document; an empty one where there is something else, as lenient readers do. */
export function objectOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** A list of the document; an empty one where there is something else. */
export function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** A text of the document, if it is one. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/**
 * What a value stands for: itself, or what its `$ref` leads to. Throws BLW_OPENAPI_DOCUMENT for a reference that leaves the
 * document, to nothing, or around in a circle.
 */
export function dereference(document: OpenApiDocument, value: Json | undefined): Json | undefined {
  let target = value;
  for (let steps = 0; isJsonObject(target) && typeof target.$ref === 'string'; steps += 1) {
    if (steps === MAX_REFERENCES) {
      throw badDocument(
        document.label,
        `$ref ${shortJson(target.$ref)} leads to itself, expected a part of the document`,
      );
    }
    target = followReference(document, target.$ref);
  }
  return target;
}

/** The part of the document that a reference names (RFC 6901 in a URI's fragment); it may be a reference again. */
export function followReference({ root, label }: OpenApiDocument, reference: string): Json {
  if (reference !== '#' && !reference.startsWith('#/')) {
    throw badDocument(
      label,
      `$ref ${shortJson(reference)} leads out of the document or to an anchor, expected one inside of it (#/…); ` +
        'nothing else is fetched: bundle the document into one file',
    );
  }
  let part: Json | undefined = root;
  for (const segment of reference.split('/').slice(1)) {
    const key = decodeSegment(segment);
    part = Array.isArray(part) ? part[Number(key)] : isJsonObject(part) ? getOwn(part, key) : undefined;
  }
  if (part === undefined) throw badDocument(label, `$ref ${shortJson(reference)} leads to nothing`);
  return part;
}

function decodeSegment(segment: string): string {
  const text = segment.replaceAll('~1', '/').replaceAll('~0', '~');
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that begins no escape is meant as it stands.
    return text;
  }
}

function decodeUtf8(bytes: Buffer, label: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badDocument(label, 'got bytes that are not UTF-8, expected JSON or YAML', cause);
  }
}

function parseText(text: string, label: string): Json {
  if (/^\s*\{/.test(text)) {
    try {
      return JSON.parse(text) as Json;
    } catch {
      // Not JSON; it may be YAML in braces. The parser's message would quote the text.
    }
  }
  const parsed = parseDocumentText(text, { roundsNumbers: true });
  if ('document' in parsed) return parsed.document.value;
  const [problem] = parsed.problems;
  const reason = problem === undefined ? '' : `: line ${problem.position.line}: ${shortText(problem.message, 200)}`;
  throw badDocument(label, `got text that cannot be read as JSON or YAML${reason}`);
}

function versionOf(root: JsonObject, label: string): OpenApiVersion {
  // YAML without quotes makes a number of it.
  if (root.swagger === '2.0' || root.swagger === 2) return '2.0';
  const version = /^3\.[01](?=\.|$)/.exec(String(root.openapi))?.[0];
  if (version === '3.0' || version === '3.1') return version;
  const got = root.openapi ?? root.swagger;
  throw badDocument(
    label,
    got === undefined
      ? 'got neither "openapi" nor "swagger", expected an OpenAPI document'
      : `got version ${shortJson(got)}, expected 3.0, 3.1 or Swagger 2.0`,
  );
}
