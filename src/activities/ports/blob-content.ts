import { createHash, type Hash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { notRetryable } from '../block-failure';
import { type HeldFolder, makeFolder } from './blob-folder';
import { guardIo, letGo, removeFile } from './blob-io';
import type { TenantPlaces } from './blob-layout';

/** Bytes of a buffer that are hashed and written at once, so that a large one does not hold up the event loop. */
const SLICE_BYTES = 1 << 20;

/** A file that is being written, with a name of its own and for this user only. */
export interface TemporaryFile {
  /** Its path until it is discarded, in a folder that is held. */
  readonly file: string;
  readonly folder: HeldFolder;
  readonly handle: FileHandle;
  /** Closes and removes it; what cannot be removed is left to sweep. Never throws. */
  discard(): Promise<void>;
  /** Closes it and leaves it there. Never throws. */
  keep(): void;
}

/** Makes temporary files and knows which of them are in use. */
export class TemporaryFiles {
  readonly #inUse = new Set<string>();

  /** True where this store is writing the file of this name. */
  isInUse(name: string): boolean {
    return this.#inUse.has(name);
  }

  /** A new file in the tenant's folder. */
  async create(subject: string, places: TenantPlaces, name: string = randomUUID()): Promise<TemporaryFile> {
    const folder = await makeFolder(subject, places.temporary, places.root);
    try {
      return await this.#open(folder, name, () => folder.release());
    } catch (error) {
      folder.release();
      throw error;
    }
  }

  /** Another one in the folder of one that is not ended before it. */
  async createBeside({ folder }: TemporaryFile): Promise<TemporaryFile> {
    return await this.#open(folder, randomUUID(), () => undefined);
  }

  async #open(folder: HeldFolder, name: string, release: () => void): Promise<TemporaryFile> {
    const file = folder.at(name);
    this.#inUse.add(name);
    try {
      const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
      const handle = await open(file, flags, 0o600);
      const keep = () => {
        letGo(handle);
        release();
        this.#inUse.delete(name);
      };
      const discard = async () => {
        await removeFile(file).catch(() => undefined);
        keep();
      };
      return { file, folder, handle, discard, keep };
    } catch (error) {
      this.#inUse.delete(name);
      throw error;
    }
  }
}

/** What is required of content while it is written. */
export interface ContentRules {
  readonly maxBytes?: number;
  readonly expectedSha256?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number) => void;
  /** What the file has already: its bytes, and their hash. */
  readonly after?: { readonly size: number; readonly hash: Hash };
  /** Told at the beginning how to find out what is in the file so far. */
  readonly onBegin?: (describe: () => WrittenSoFar) => void;
}

/** Content that is in a file. */
export interface WrittenSoFar {
  readonly size: number;
  readonly sha256: string;
}

/**
 * Writes content to a file and hashes it on the way, in constant memory: a stream is read only as fast as the disk takes it.
 *
 * @throws BLW_HTTP_TOO_LARGE, BLW_HTTP_CHECKSUM (not retryable), BLW_FS_IO, the signal's reason, or the source's own error
 * as it is; a stream is destroyed then
 */
export async function writeContent(
  subject: string,
  handle: FileHandle,
  source: Uint8Array | Readable,
  rules: ContentRules,
): Promise<WrittenSoFar> {
  const writer = new ContentWriter(subject, handle, rules);
  rules.onBegin?.(() => writer.describe());
  if (source instanceof Uint8Array) await writeBytes(writer, source, rules.signal);
  else await writeStream(writer, source, rules.signal);
  return writer.finish();
}

async function writeBytes(writer: ContentWriter, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
    signal?.throwIfAborted();
    await writer.add(bytes.subarray(start, start + SLICE_BYTES));
  }
}

async function writeStream(writer: ContentWriter, source: Readable, signal: AbortSignal | undefined): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  const consume = async (chunks: AsyncIterable<unknown>): Promise<void> => {
    try {
      for await (const chunk of chunks) await writer.add(toBytes(chunk));
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  try {
    await pipeline(source, consume, signal === undefined ? {} : { signal });
  } catch (error) {
    // The pipeline reports an abort as an error of its own.
    signal?.throwIfAborted();
    // It ends the source as well, and a source may have words of its own for that.
    throw failure === undefined ? error : failure.error;
  }
}

function toBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk, 'utf8');
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(`The source of a blob gave a chunk of type ${typeof chunk}; expected bytes or text.`);
}

/** Ends a stream that will not be read, so that its connection or file is freed. */
export function abandonSource(source: Uint8Array | Readable): void {
  if (source instanceof Uint8Array) return;
  // Streams may report being ended early as an error, which nobody else listens to.
  source.on('error', () => undefined);
  source.destroy();
}

class ContentWriter {
  readonly #hash: Hash;
  #size: number;

  constructor(
    private readonly subject: string,
    private readonly handle: FileHandle,
    private readonly rules: ContentRules,
  ) {
    this.#hash = rules.after?.hash ?? createHash('sha256');
    this.#size = rules.after?.size ?? 0;
  }

  describe(): WrittenSoFar {
    return { size: this.#size, sha256: this.#hash.copy().digest('hex') };
  }

  async add(bytes: Uint8Array): Promise<void> {
    const { maxBytes, onProgress } = this.rules;
    if (maxBytes !== undefined && this.#size + bytes.length > maxBytes) {
      throw notRetryable(
        'BLW_HTTP_TOO_LARGE',
        `${this.subject}: the content has more than ${maxBytes} bytes, the most that were allowed; nothing was stored. Raise maxBytes, or ask for less.`,
      );
    }
    await guardIo(this.subject, () => writeAll(this.handle, bytes));
    // Both at once: what is described is in the file.
    this.#hash.update(bytes);
    this.#size += bytes.length;
    onProgress?.(this.#size);
  }

  finish(): WrittenSoFar {
    const written = this.describe();
    const { sha256 } = written;
    const expected = this.rules.expectedSha256?.toLowerCase();
    if (expected !== undefined && expected !== sha256) {
      throw notRetryable(
        'BLW_HTTP_CHECKSUM',
        `${this.subject}: the content's SHA-256 is ${sha256}, expected ${expected}; nothing was stored. Check the expected hash and the source.`,
      );
    }
    return written;
  }
}

/** Writes at the file's position, all of it. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written);
    written += bytesWritten;
  }
}
