import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';
import { BlockFailure, notRetryable } from '../block-failure';
import type { BlobInfo } from '../ports/blob-store';

/** `with` of fs.put, as its schema has checked it. */
interface FsPutArguments {
  readonly path: string;
  readonly content?: Json;
  readonly base64?: string;
  readonly contentType?: string;
  readonly ifMatch?: string;
}

/**
 * Writes a blob from text, JSON or base64.
 *
 * @throws BLW_ARG_INVALID where not exactly one of content and base64 is given, or it has no bytes; BLW_FS_PATH,
 * BLW_FS_PRECONDITION, BLW_FS_IO
 */
export const fsPut: BlockExecutor = async (args: JsonObject, context: BlockContext) => {
  const { path, contentType, ifMatch, ...source } = args as unknown as FsPutArguments;
  const bytes = encodeContent(source);
  try {
    const { tenant, execution } = context.step;
    const { size, sha256 } = await context.ports.blobs.put(tenant, path, bytes, {
      ...(contentType === undefined ? {} : { contentType }),
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(execution === undefined ? {} : { execution }),
      signal: context.signal,
      fence: context.fence,
    });
    return { path, size, sha256 };
  } catch (error) {
    const written = await findWrittenBefore(error, { path, bytes }, context);
    if (written === undefined) throw error;
    return { path, size: written.size, sha256: written.sha256 };
  }
};

/**
 * An earlier attempt may have written the blob and lost the answer: its own content then fails its precondition. Whoever
 * wrote the same bytes, the blob is what the step promised to make it.
 */
async function findWrittenBefore(
  error: unknown,
  { path, bytes }: { path: string; bytes: Uint8Array },
  { step, ports }: BlockContext,
): Promise<BlobInfo | undefined> {
  if (step.attempt <= 1 || !(error instanceof BlockFailure) || error.data.code !== 'BLW_FS_PRECONDITION') {
    return undefined;
  }
  const current = await ports.blobs.stat(step.tenant, path);
  return current?.sha256 === createHash('sha256').update(bytes).digest('hex') ? current : undefined;
}

/** The bytes that are written. Throws BLW_ARG_INVALID. */
export function encodeContent({ content, base64 }: Pick<FsPutArguments, 'content' | 'base64'>): Uint8Array {
  if ((content === undefined) === (base64 === undefined)) {
    const got = content === undefined ? 'neither is given' : 'both are given';
    throw notRetryable(
      'BLW_ARG_INVALID',
      `fs.put, content and base64: ${got}; expected exactly one of them. ${content === undefined ? 'Give one' : 'Remove one'}.`,
    );
  }
  if (base64 !== undefined) return decodeBase64(base64);
  return typeof content === 'string' ? encodeText(content) : Buffer.from(JSON.stringify(content), 'utf8');
}

/** UTF-8 has no form for half of a surrogate pair; Node would replace it in silence. */
function encodeText(text: string): Uint8Array {
  const index = text.search(/\p{Cs}/u);
  if (index === -1) return Buffer.from(text, 'utf8');
  throw notRetryable(
    'BLW_ARG_INVALID',
    `fs.put, content: half of a surrogate pair at index ${index}; expected text that UTF-8 can hold. Give the bytes as base64.`,
  );
}

/** Node skips what is not base64; only text that comes out again as it went in is taken. */
function decodeBase64(base64: string): Uint8Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64') === base64) return bytes;
  throw notRetryable(
    'BLW_ARG_INVALID',
    `fs.put, base64: text of ${base64.length} characters that is not base64; expected the alphabet A-Z a-z 0-9 + / with padding and without white space (RFC 4648, section 4). Encode the bytes again.`,
  );
}
