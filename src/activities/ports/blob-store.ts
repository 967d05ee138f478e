import type { Readable } from 'node:stream';
import type { Fence } from '../fence';

/** What is known of a blob without reading it. */
export interface BlobInfo {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  readonly modifiedAt: Date;
  readonly contentType?: string;
}

/** What a put has left of a content that broke off; JSON. */
export interface BlobPart {
  readonly name: string;
  /** Bytes from the beginning of the content, and their SHA-256 (hex). */
  readonly size: number;
  readonly sha256: string;
}

/** A part that a put may go on from. */
export interface TakenPart {
  readonly size: number;
  /** Lets it be as it was left, unless a put has gone on from it. */
  discard(): Promise<void>;
  /** Removes it: it is of no use. */
  forget(): Promise<void>;
}

/** That a put leaves a part where it fails. */
export interface PartRules {
  /** Who may go on from it: puts of the same tenant, key and path. */
  readonly key: string;
  /** True where the source broke off, and not the content or the disk was wrong. */
  readonly keepsAfter: (error: unknown) => boolean;
  /** Told at the beginning how to find out what is there so far, also for those that are killed. */
  readonly onBegin: (describe: () => BlobPart) => void;
  /** Most bytes that all parts of the tenant may have. */
  readonly maxKeptBytes?: number;
}

/** Where blobs are kept, one space per tenant. Paths are checked by the store; a bad one throws BLW_FS_PATH. */
export interface BlobStore {
  /**
   * Stores a blob atomically and durably; returns after it would survive a crash.
   * `ifMatch`: SHA-256 that the blob must have now, or `none`; else BLW_FS_PRECONDITION.
   * Where the source fails, the signal aborts, `maxBytes` is passed (BLW_HTTP_TOO_LARGE) or `expectedSha256` is not met
   * (BLW_HTTP_CHECKSUM), nothing is left behind, but for a part, which no path leads to, where `part` asks for one.
   */
  put(
    tenant: string,
    path: string,
    source: Uint8Array | Readable,
    options?: {
      contentType?: string;
      ifMatch?: string;
      /**
       * What the attempts of one step have in common. Once one of them has put the blob, until a sweep after its grace, the others
       * write nothing and give what it gave, whatever has become of the blob since.
       */
      execution?: string;
      maxBytes?: number;
      expectedSha256?: string;
      signal?: AbortSignal;
      /** Asked before the blob is there. */
      fence?: Fence;
      /** Size of the whole content, where it is known before. */
      expectedBytes?: number;
      part?: PartRules;
      /** What the content begins with; `maxBytes`, hashes and sizes are of the whole. */
      after?: TakenPart;
      /** Called with the bytes written so far. */
      onProgress?: (bytes: number) => void;
      /** Called once the blob is there, with the bytes that it has and those that the blob before it had, where that is known. */
      onPublished?: (bytes: number, replacedBytes: number | undefined) => void;
    },
  ): Promise<BlobInfo>;
  /**
   * Takes up what a put of the same key and path has left; undefined where it is gone, or has another size or hash than it was said
   * to have. The old part stays until a put has gone on from this one.
   */
  takePart(
    tenant: string,
    path: string,
    options: { key: string; part: BlobPart; signal: AbortSignal },
  ): Promise<TakenPart | undefined>;
  /** The blob's info, or undefined where there is none. */
  stat(tenant: string, path: string): Promise<BlobInfo | undefined>;
  /** Info and content as one consistent pair; undefined where there is no blob. More than `maxBytes`: BLW_FS_TOO_LARGE. */
  read(tenant: string, path: string, maxBytes: number): Promise<{ info: BlobInfo; content: Buffer } | undefined>;
  /** Blobs whose path starts with `prefix` and comes after `after`, in code unit order; at most `limit`, `next` where there is more. */
  list(
    tenant: string,
    options: { prefix: string; limit: number; after?: string },
  ): Promise<{ entries: BlobInfo[]; next?: string }>;
  /**
   * Deletes a blob durably; true where there was one. With `idempotencyKey` the store remembers, until a sweep after its
   * grace, what was deleted under the key: a call with `isRetry` (it may be one) and the same key and path is then true, and deletes
   * nothing that was put since.
   */
  delete(
    tenant: string,
    path: string,
    options?: {
      idempotencyKey?: string;
      isRetry?: boolean;
      /** Asked before the blob is gone. */
      fence?: Fence;
      /** Called once the blob is gone, with the bytes that it had. */
      onDeleted?: (bytes: number) => void;
    },
  ): Promise<boolean>;
  /** Removes content that no blob refers to any more and that is older than `graceMs`, and leftovers of interrupted writes. */
  sweep(options: { graceMs: number }): Promise<{ removed: number; freedBytes: number }>;
}
