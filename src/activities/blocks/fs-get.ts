import type { Json, JsonObject } from '../../dsl/json';
import { MAX_PAYLOAD_BYTES } from '../../dsl/step-request';
import type { BlockContext, BlockExecutor } from '../block';
import { type BlockFailure, notRetryable } from '../block-failure';
import { findDepthExcess, findJsonExcess } from '../json-excess';
import { blobNotFound } from './fs-not-found';

/** Largest blob that is read into a flow: what a value may have. As JSON text or base64 it is more, and counts as that. */
const MAX_BYTES = MAX_PAYLOAD_BYTES;

/** `with` of fs.get, as its schema has checked it. */
interface FsGetArguments {
  readonly path: string;
  readonly as?: 'text' | 'json' | 'base64';
}

/**
 * Reads a blob of at most 100 MiB as text, JSON or base64.
 *
 * @throws BLW_FS_NOT_FOUND, BLW_FS_TOO_LARGE, BLW_FS_CONTENT where it is not UTF-8 or JSON, BLW_FS_PATH, BLW_FS_IO
 */
export const fsGet: BlockExecutor = async (args: JsonObject, { step, ports }: BlockContext) => {
  const { path, as = 'text' } = args as unknown as FsGetArguments;
  const blob = await ports.blobs.read(step.tenant, path, MAX_BYTES);
  if (blob === undefined) throw blobNotFound('fs.get', path);
  const { size, sha256 } = blob.info;
  return { path, size, sha256, content: decode(path, as, blob.content) };
};

function decode(path: string, as: 'text' | 'json' | 'base64', bytes: Buffer): Json {
  switch (as) {
    case 'base64':
      return bytes.toString('base64');
    case 'text':
      return decodeText(path, bytes);
    case 'json':
      return decodeJson(path, bytes);
  }
}

function decodeText(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw badContent(path, 'the bytes are not UTF-8', 'UTF-8 text');
  }
}

function decodeJson(path: string, bytes: Buffer): Json {
  const excess = findJsonExcess(bytes);
  if (excess !== undefined) throw badContent(path, `JSON ${excess}`, 'less');
  const value = parseJson(path, decodeText(path, bytes));
  const depth = findDepthExcess(value);
  if (depth !== undefined) throw badContent(path, `JSON ${depth}`, 'less');
  return value;
}

function parseJson(path: string, text: string): Json {
  try {
    // RFC 8259, section 8.1: a byte order mark may be ignored.
    return JSON.parse(text.replace(/^\uFEFF/, '')) as Json;
  } catch {
    // The parser's own message quotes the content, which may be secret.
    throw badContent(path, 'the text is not JSON', 'JSON');
  }
}

function badContent(path: string, got: string, expected: string): BlockFailure {
  return notRetryable(
    'BLW_FS_CONTENT',
    `fs.get, blob ${JSON.stringify(path)}: ${got}; expected ${expected}. Mend the blob, or ask for another form with \`as\`.`,
  );
}
