import { createHash } from 'node:crypto';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { type BlockFailure, notRetryable } from '../block-failure';
import { parseMediaType } from '../http/media-type';
import type { Body, FormField, ValueForm } from './operation';
import { encodeText, textOfScalar, writePairs } from './write-parameters';

/** A body as `call: http` takes it, and its content type. */
export interface WrittenBody {
  readonly body: string | { base64: string };
  readonly contentType: string;
}

interface FileValue {
  readonly base64: string;
  readonly filename?: string;
  readonly contentType?: string;
}

/** Lists repeat the name, objects are JSON (OpenAPI, "Encoding Object"). */
const USUAL: ValueForm = { style: 'form', explode: true, allowReserved: false, isJson: false };

/** Encodes a body as its media type asks for. Throws BLW_ARG_INVALID (not retryable). */
export function writeBody(
  { kind, contentType, fields, files }: Body,
  value: Json,
  path: readonly string[],
): WrittenBody {
  switch (kind) {
    case 'json':
      return { body: JSON.stringify(value), contentType };
    case 'text':
      return { body: textOfScalar(value), contentType };
    case 'binary':
      return writeBytes(value, contentType, path);
    case 'form':
      return { body: writeForm(entriesOf(value, path), fields), contentType };
    case 'multipart':
      return writeMultipart(entriesOf(value, path), { fields, files }, path);
  }
}

function writeBytes(value: Json, contentType: string, path: readonly string[]): WrittenBody {
  if (typeof value === 'string') return { body: value, contentType };
  if (!isFileValue(value)) throw badBody(path, `expected text or { base64 }, since the body is ${contentType}`);
  const type = value.contentType ?? contentType;
  if (parseMediaType(type).kind !== 'binary')
    throw badBody(path, 'expected text itself where the content type is one of text');
  return { body: { base64: decodeBase64(value.base64, path).toString('base64') }, contentType: type };
}

function decodeBase64(text: string, path: readonly string[]): Buffer {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return Buffer.from(text, 'base64');
  throw badBody([...path, 'base64'], 'expected base64 of RFC 4648 with padding and without line breaks');
}

function entriesOf(value: Json, path: readonly string[]): [string, Json][] {
  if (isJsonObject(value)) return Object.entries(value).filter(([, item]) => item !== null);
  throw badBody(path, 'expected an object, since the body is a form');
}

function writeForm(entries: readonly [string, Json][], fields: Body['fields']): string {
  return entries
    .flatMap(([name, value]) => {
      const field = fields.get(name);
      return writePairs(name, value, field ?? { ...USUAL, isJson: isJsonObject(value) }, encodeText);
    })
    .join('&');
}

function writeMultipart(
  entries: readonly [string, Json][],
  { fields, files }: Pick<Body, 'fields' | 'files'>,
  path: readonly string[],
): WrittenBody {
  const boundary = boundaryOf(entries);
  const parts = entries.flatMap(([name, value]) => {
    const items = Array.isArray(value) ? value : [value];
    return items.map((item) =>
      writePart(boundary, { name, value: item, field: fields.get(name), isFile: files.has(name) }, [...path, name]),
    );
  });
  const bytes = Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
  return { body: { base64: bytes.toString('base64') }, contentType: `multipart/form-data; boundary=${boundary}` };
}

/**
 * A line that the content does not have, since it cannot hold its own hash; the same on every attempt, as servers expect of
 * requests with one idempotency key.
 */
function boundaryOf(entries: readonly [string, Json][]): string {
  return `beamline-${createHash('sha256').update(JSON.stringify(entries)).digest('hex').slice(0, 32)}`;
}

interface Part {
  readonly name: string;
  readonly value: Json;
  readonly field: FormField | undefined;
  readonly isFile: boolean;
}

/** One part (RFC 7578): a file has a name and a type, text has neither, other values are JSON. */
function writePart(boundary: string, { name, value, field, isFile }: Part, path: readonly string[]): Buffer {
  const file = isFileValue(value) ? value : undefined;
  const usualType =
    file !== undefined || isFile ? 'application/octet-stream' : isJsonObject(value) ? 'application/json' : undefined;
  const type = checkLine(file?.contentType ?? field?.contentType ?? usualType, path);
  const filename = file !== undefined || isFile ? `; filename="${escapeQuoted(file?.filename ?? name)}"` : '';
  const head =
    `--${boundary}\r\ncontent-disposition: form-data; name="${escapeQuoted(name)}"${filename}\r\n` +
    `${type === undefined ? '' : `content-type: ${type}\r\n`}\r\n`;
  const content = file === undefined ? Buffer.from(textOfScalar(value)) : decodeBase64(file.base64, path);
  return Buffer.concat([Buffer.from(head), content, Buffer.from('\r\n')]);
}

function isFileValue(value: Json): value is JsonObject & FileValue {
  return isJsonObject(value) && typeof value.base64 === 'string';
}

/** As browsers write names (HTML, "Multipart form data"). */
function escapeQuoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** A line break would begin another header. */
function checkLine(text: string | undefined, path: readonly string[]): string | undefined {
  if (text === undefined || /^[\x20-\x7e]*$/.test(text)) return text;
  throw badBody(path, 'expected a content type on one line of ASCII');
}

function badBody(path: readonly string[], expected: string): BlockFailure {
  return notRetryable('BLW_ARG_INVALID', `openapi: ${path.join('.')}: ${expected}`);
}
