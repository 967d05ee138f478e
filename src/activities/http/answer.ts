import { finished, type Readable } from 'node:stream';
import type { Json } from '../../dsl/json';
import { type BlockFailure, notRetryable } from '../block-failure';
import { findDepthExcess, findJsonExcess } from '../json-excess';
import { type MediaType, parseMediaType } from './media-type';

/** Reads a body to its end, at most `maxBytes`; more: destroys it and throws what `tooLarge` makes. */
export function readBody(body: Readable, maxBytes: number, tooLarge: () => BlockFailure): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    // Tells of a body that has failed before, too.
    finished(body, { writable: false }, (error) => {
      if (error) reject(error);
      else resolve(Buffer.concat(chunks, size));
    });
    body.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) return void chunks.push(chunk);
      reject(tooLarge());
      body.destroy();
    });
  });
}

/**
 * A body as data: parsed where its content type is JSON, text where it is text, base64 otherwise, null where it is empty.
 * Throws BLW_HTTP_CONTENT (not retryable) where it is not what its content type promises.
 */
export function decodeContent(bytes: Buffer, contentType: string | undefined, label: string): Json {
  if (bytes.length === 0) return null;
  const type = parseMediaType(contentType);
  if (type.kind === 'binary') return bytes.toString('base64');
  if (type.kind === 'json') refuseExcess(findJsonExcess(bytes), label);
  const text = decodeText(bytes, type, label);
  return type.kind === 'json' ? parseJson(text, label) : text;
}

function refuseExcess(excess: string | undefined, label: string): void {
  if (excess !== undefined) throw badContent(label, `JSON ${excess}`, 'less');
}

function decodeText(bytes: Buffer, type: MediaType, label: string): string {
  const decoder = makeDecoder(type, label);
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw badContent(label, `bytes that are not ${decoder.encoding}`, 'JSON text', cause);
  }
}

/** JSON has to be exact; in other text a broken byte becomes U+FFFD, as browsers do. */
function makeDecoder({ kind, charset = 'utf-8' }: MediaType, label: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset, { fatal: kind === 'json' });
  } catch (cause) {
    throw badContent(label, `the charset ${JSON.stringify(charset.slice(0, 40))}`, 'one that is known', cause);
  }
}

function parseJson(text: string, label: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the body, which may hold secrets: it is not kept as the cause.
    throw badContent(label, 'a body that does not parse', 'JSON as its content type says');
  }
  refuseExcess(findDepthExcess(value), label);
  return value;
}

function badContent(label: string, got: string, expected: string, cause?: unknown): BlockFailure {
  return notRetryable(
    'BLW_HTTP_CONTENT',
    `${label}: got ${got}, expected ${expected}; take the bytes as they came with \`output: raw\``,
    cause === undefined ? {} : { cause },
  );
}
