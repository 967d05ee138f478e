import { pipeline, Readable, Transform, type TransformCallback } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { notRetryable, retryable } from '../block-failure';

/** What the client asks for; the codings that {@link decodeBody} knows. */
export const ACCEPT_ENCODING = 'gzip, deflate, br';

/** More codings than this on one body are an attack on memory, not compression. */
const MAX_CODINGS = 3;

/** The low half of the first byte of zlib's format (RFC 1950 section 2.2, CM). */
const ZLIB_METHOD_DEFLATE = 8;

/** Everybody on a body's way to a blob waits for its end: eleven by now, and Node warns of more than ten. */
const MAX_LISTENERS = 20;

export interface DecodeOptions {
  /** The header `content-encoding`, where the body has one. */
  readonly contentEncoding: string | undefined;
  /** Method and URL as messages show them. */
  readonly label: string;
  /** Turns an error of the connection into what the reader of the body sees. */
  readonly translate: (error: Error) => Error;
}

/**
 * The body without its content codings. Backpressure reaches the connection through every decoder, so a small body that
 * decodes to a huge one is decoded no further than it is read. An unknown coding or broken data fails the stream with BLW_HTTP_CONTENT.
 */
export function decodeBody(source: Readable, options: DecodeOptions): Readable {
  // A body may fail before its reader is there; the reader still sees the error.
  source.on('error', ignore);
  const decoders = findDecoders(options.contentEncoding);
  if (decoders?.length === 0) return withPublicErrors(source, options.translate);
  const body = new AnswerBody(options.translate);
  body.on('error', ignore);
  // A decoder that waits for the connection would keep it open until something came.
  body.once('close', () => source.destroy());
  if (decoders === undefined) return body.destroy(unknownCoding(options));
  const decoded = decoders.reduce<AsyncIterable<Buffer>>((input, create) => decode(input, create, options), source);
  pipeline(decoded, body, ignore);
  return body;
}

/** A body without codings is the connection's own: a stream around each would cost more than the rest of a short answer. */
function withPublicErrors(source: Readable, translate: DecodeOptions['translate']): Readable {
  const destroy = source.destroy.bind(source);
  source.destroy = (error?: Error | null) => destroy(error ? translate(error) : undefined);
  return source.setMaxListeners(MAX_LISTENERS);
}

/** True where the header names a coding that {@link decodeBody} takes off. */
export function isEncoded(contentEncoding: string | undefined): boolean {
  return parseCodings(contentEncoding).length > 0;
}

/** The end of the chain: passes bytes on and gives errors their public form. */
class AnswerBody extends Transform {
  constructor(private readonly translate: (error: Error) => Error) {
    super();
    this.setMaxListeners(MAX_LISTENERS);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    callback(null, chunk);
  }

  /** Here and not in `_destroy`: a reader that comes after the failure sees the error that `destroy` was called with. */
  override destroy(error?: Error | null): this {
    return super.destroy(error ? this.translate(error) : undefined);
  }
}

type CreateDecoder = (first: Buffer) => Transform;

/** In the order in which they are taken off: the last applied first (RFC 9110 section 8.4). */
function parseCodings(contentEncoding: string | undefined): string[] {
  return (contentEncoding ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
    .reverse();
}

/** Undefined where one of the codings is not known, or there are too many. */
function findDecoders(contentEncoding: string | undefined): CreateDecoder[] | undefined {
  const decoders = parseCodings(contentEncoding).map(decoderFor);
  const known = decoders.filter((decoder) => decoder !== undefined);
  return known.length === decoders.length && known.length <= MAX_CODINGS ? known : undefined;
}

function decoderFor(coding: string): CreateDecoder | undefined {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return () => createGunzip();
    case 'br':
      return () => createBrotliDecompress();
    case 'deflate':
      return createDeflateDecoder;
    default:
      return undefined;
  }
}

/** `deflate` is the zlib format (RFC 9110 section 8.4.1.2), but some servers send it without zlib's header. */
function createDeflateDecoder(first: Buffer): Transform {
  const hasZlibHeader = ((first[0] ?? 0) & 0x0f) === ZLIB_METHOD_DEFLATE;
  return hasZlibHeader ? createInflate() : createInflateRaw();
}

async function* decode(
  input: AsyncIterable<Buffer>,
  create: CreateDecoder,
  { label }: DecodeOptions,
): AsyncGenerator<Buffer> {
  const iterator = input[Symbol.asyncIterator]();
  const first = await nextChunk(iterator);
  // Decoders take an empty body for a truncated one; an answer to HEAD and a 204 have one.
  if (first === undefined) return;
  const decoder = create(first);
  let sourceError: unknown;
  const rest = remember(first, iterator, (error) => {
    sourceError = error;
  });
  pipeline(Readable.from(rest, { objectMode: false }), decoder, ignore);
  try {
    yield* decoder as AsyncIterable<Buffer>;
  } catch (error) {
    throw error === sourceError ? error : decodingFailure(error, label);
  }
}

async function* remember(
  first: Buffer,
  iterator: AsyncIterator<Buffer>,
  onError: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  try {
    for (let chunk: Buffer | undefined = first; chunk !== undefined; chunk = await nextChunk(iterator)) yield chunk;
  } catch (error) {
    onError(error);
    throw error;
  } finally {
    await iterator.return?.();
  }
}

async function nextChunk(iterator: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  for (;;) {
    const { done, value } = await iterator.next();
    if (done === true) return undefined;
    if (value.length > 0) return value;
  }
}

/** Data that ends too early is an answer that broke off; anything else is a server that does not do what it says. */
function decodingFailure(cause: unknown, label: string): Error {
  if (isNativeError(cause) && 'code' in cause && cause.code === 'Z_BUF_ERROR') {
    return retryable(
      'BLW_HTTP_OUTCOME_UNKNOWN',
      `${label}: got compressed data that ends too early, expected a whole answer; check on the server whether the call took effect`,
      { cause },
    );
  }
  return notRetryable(
    'BLW_HTTP_CONTENT',
    `${label}: got data that does not decompress, expected what its content-encoding says; ` +
      'ask for it uncompressed with the header `accept-encoding: identity`',
    { cause },
  );
}

function unknownCoding({ contentEncoding, label }: DecodeOptions): Error {
  return notRetryable(
    'BLW_HTTP_CONTENT',
    `${label}: got content-encoding ${JSON.stringify((contentEncoding ?? '').slice(0, 80))}, expected ${ACCEPT_ENCODING}, ` +
      `at most ${MAX_CODINGS} of them; ask for it uncompressed with the header \`accept-encoding: identity\``,
  );
}

function ignore(): void {}
