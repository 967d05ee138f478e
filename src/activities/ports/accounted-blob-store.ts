import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { notRetryable, retryable } from '../block-failure';
import { abandonSource } from './blob-content';
import type { BlobSpace } from './blob-space';
import type { BlobStore } from './blob-store';

/** A stream of unknown length asks for room in portions of this. */
const PORTION_BYTES = 4 * 1_024 * 1_024;

/** Longest wait until another has counted the tenant's blobs, and the pause between two questions. */
const COUNT_PATIENCE_MS = 10_000;
const COUNT_PAUSE_MS = 50;

const COUNTED_AT_ONCE = 1_000;

type PutOptions = NonNullable<Parameters<BlobStore['put']>[3]>;

/** Takes down what a change did; null where nobody knows. */
type ChangedBy = (delta: number | null) => void;

/** A change that has begun. */
interface Granted {
  readonly id: string;
  readonly isLimited: boolean;
  readonly limit?: number;
}

/**
 * A blob store that accounts for every change, whichever block makes it. A put for which the tenant has no room fails with
 * BLW_QUOTA_WAIT, which the worker makes a wait of, and leaves nothing behind; with BLW_QUOTA_NEVER where the content alone is
 * larger than all that the tenant may have.
 */
export function accountBlobs(store: BlobStore, space: BlobSpace): BlobStore {
  const accounted = new AccountedBlobs(store, space);
  return {
    put: (...args) => accounted.put(...args),
    delete: (...args) => accounted.delete(...args),
    takePart: (...args) => store.takePart(...args),
    stat: (...args) => store.stat(...args),
    read: (...args) => store.read(...args),
    list: (...args) => store.list(...args),
    sweep: (...args) => store.sweep(...args),
  };
}

class AccountedBlobs {
  constructor(
    private readonly store: BlobStore,
    private readonly space: BlobSpace,
  ) {}

  put: BlobStore['put'] = async (tenant, path, source, options = {}) => {
    let granted: Granted;
    const bytes = source instanceof Uint8Array ? source.length : options.expectedBytes;
    try {
      granted = await this.#begin({ tenant, path, bytes: bytes ?? 0 }, options.signal);
    } catch (error) {
      abandonSource(source);
      throw error;
    }
    const isOpen = granted.isLimited && source instanceof Readable && bytes === undefined;
    const content = isOpen
      ? Readable.from(this.#growing({ tenant, path, id: granted.id, begunWith: options.after?.size ?? 0 }, source), {
          objectMode: false,
        })
      : source;
    return await this.#change(tenant, granted, (changedBy) =>
      this.store.put(tenant, path, content, {
        ...keepingLess(options, granted),
        onPublished: publishing(options, changedBy),
      }),
    );
  };

  delete: BlobStore['delete'] = async (tenant, path, options = {}) => {
    const granted = await this.#begin({ tenant, path, bytes: 0 });
    return await this.#change(tenant, granted, (changedBy) =>
      this.store.delete(tenant, path, { ...options, onDeleted: (bytes) => changedBy(-bytes) }),
    );
  };

  /** Reports what was changed, however it ends: a put may fail after the blob is there. */
  async #change<T>(tenant: string, { id }: Granted, work: (changedBy: ChangedBy) => Promise<T>): Promise<T> {
    let delta: number | null = 0;
    try {
      return await work((bytes) => {
        delta = bytes;
      });
    } finally {
      await this.space.end({ tenant, id, delta });
    }
  }

  async #begin(
    { tenant, path, bytes }: { tenant: string; path: string; bytes: number },
    signal?: AbortSignal,
  ): Promise<Granted> {
    const giveUpAt = performance.now() + COUNT_PATIENCE_MS;
    let needed = bytes;
    for (;;) {
      signal?.throwIfAborted();
      const answer = await this.space.begin({ tenant, bytes: needed });
      if (answer.kind === 'granted') return answer;
      if (answer.kind === 'count')
        await this.space.counted({ tenant, id: answer.id, bytes: await this.#count(tenant) });
      else if (answer.kind === 'later' && performance.now() < giveUpAt) await delay(COUNT_PAUSE_MS);
      else if (answer.kind === 'full' && answer.limit !== undefined) {
        if (bytes > answer.limit) throw neverFits(path, answer.limit);
        // What it takes the place of is freed.
        const replaced = needed < bytes ? 0 : ((await this.store.stat(tenant, path))?.size ?? 0);
        if (replaced === 0) throw full(path, needed);
        needed = Math.max(0, bytes - replaced);
      } else throw full(path, needed);
    }
  }

  async #count(tenant: string): Promise<number> {
    let bytes = 0;
    let after: string | undefined;
    do {
      const page = await this.store.list(tenant, {
        prefix: '',
        limit: COUNTED_AT_ONCE,
        ...(after === undefined ? {} : { after }),
      });
      for (const { size } of page.entries) bytes += size;
      after = page.next;
    } while (after !== undefined);
    return bytes;
  }

  /** The source, which stops where there is no room for more. */
  async *#growing(
    { tenant, path, id, begunWith }: { tenant: string; path: string; id: string; begunWith: number },
    source: Readable,
  ): AsyncGenerator<Uint8Array> {
    let seen = begunWith;
    let reserved = 0;
    const reserve = async (bytes: number): Promise<boolean> => {
      const { isGranted, limit } = await this.space.extend({ tenant, id, bytes });
      if (isGranted) reserved = bytes;
      else if (limit !== undefined && seen > limit) throw neverFits(path, limit);
      return isGranted;
    };
    for await (const chunk of source as AsyncIterable<Uint8Array | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      seen += bytes.length;
      if (seen > reserved && !(await reserve(seen + PORTION_BYTES)) && !(await reserve(seen))) throw full(path, seen);
      yield bytes;
    }
  }
}

/** What is left of contents that broke off is no blob, and so not counted; of a tenant with a quota it is held to as much again. */
function keepingLess(options: PutOptions, { limit }: Granted): PutOptions {
  const { part } = options;
  if (part === undefined || limit === undefined) return options;
  return { ...options, part: { ...part, maxKeptBytes: limit } };
}

function publishing({ onPublished }: PutOptions, changedBy: ChangedBy): NonNullable<PutOptions['onPublished']> {
  return (bytes, replacedBytes) => {
    changedBy(replacedBytes === undefined ? null : bytes - replacedBytes);
    onPublished?.(bytes, replacedBytes);
  };
}

function full(path: string, bytes: number): Error {
  return retryable(
    'BLW_QUOTA_WAIT',
    `${path}: there is no room for ${bytes} bytes in the tenant's quota blobBytes; nothing was stored`,
    {
      data: { reason: 'blobBytes', bytes },
    },
  );
}

function neverFits(path: string, limit: number): Error {
  return notRetryable(
    'BLW_QUOTA_NEVER',
    `${path}: the content has more bytes than the ${limit} that all blobs of the tenant may have; nothing was stored`,
    { data: { limit } },
  );
}
