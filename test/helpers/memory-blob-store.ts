import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { notRetryable } from '../../src/activities/block-failure';
import type { BlobInfo, BlobStore } from '../../src/activities/ports/blob-store';

type PutOptions = NonNullable<Parameters<BlobStore['put']>[3]>;

/** The writing half of a blob store, in memory. With `keep: false` it reads and hashes, and keeps nothing of the content. */
export class MemoryBlobStore {
  readonly blobs = new Map<string, { info: BlobInfo; content: Buffer; options: PutOptions }>();

  constructor(private readonly options: { keep: boolean } = { keep: true }) {}

  /** The part of the port that is there; anything else fails where it is used. */
  get port(): BlobStore {
    return { put: this.put.bind(this) } as unknown as BlobStore;
  }

  private async put(
    tenant: string,
    path: string,
    source: Uint8Array | Readable,
    options: PutOptions = {},
  ): Promise<BlobInfo> {
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of (source instanceof Readable ? source : [source]) as AsyncIterable<Buffer>) {
      options.signal?.throwIfAborted();
      size += chunk.length;
      if (size > (options.maxBytes ?? Number.POSITIVE_INFINITY)) throw notRetryable('BLW_HTTP_TOO_LARGE', 'too large');
      hash.update(chunk);
      if (this.options.keep) chunks.push(chunk);
      options.onProgress?.(size);
    }
    const sha256 = hash.digest('hex');
    if (options.expectedSha256 !== undefined && options.expectedSha256 !== sha256) {
      throw notRetryable('BLW_HTTP_CHECKSUM', 'another hash');
    }
    const { contentType } = options;
    const info = { path, size, sha256, modifiedAt: new Date(), ...(contentType === undefined ? {} : { contentType }) };
    this.blobs.set(`${tenant}/${path}`, { info, content: Buffer.concat(chunks), options });
    return info;
  }
}
