import { mkdir, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { FlowError, flowError } from '../../dsl/errors';
import { notRetryable, retryable } from '../block-failure';
import { fulfilled } from '../fulfilled';
import { type Before, lookBefore } from './blob-before';
import { abandonSource, type ContentRules, type TemporaryFile, TemporaryFiles, writeContent } from './blob-content';
import { type HeldFolder, holdFolder } from './blob-folder';
import { damaged, errorCode, guardIo } from './blob-io';
import { type BlobPlace, blobPlace, listStart, markOf, tenantPlaces } from './blob-layout';
import { openStoreLock, type StoreLock } from './blob-lock';
import { keepForWriter } from './blob-marks';
import { type PlacedObject, placeObject, readObject, type WrittenContent } from './blob-objects';
import { newPartName, partsFit, TakenFile, takePart } from './blob-part';
import { quote } from './blob-path';
import { blobSubject, checkContentType, infoOf, PointerDraft, readPointer } from './blob-pointer';
import { type DeleteOptions, removePointer } from './blob-removal';
import type { BlobInfo, BlobPart, BlobStore, TakenPart } from './blob-store';
import { sweepStore } from './blob-sweep';
import { walkBlobs } from './blob-walk';
import { syncPlaces } from './folder-sync';

/** Times a read starts over because its content was replaced and swept under it; each takes a put and a sweep. */
const MAX_READS = 20;

/** A blob store that holds an open file. */
export interface FileBlobStore extends BlobStore {
  /** Gives the lock's file back. Operations that are under way must have ended. */
  close(): void;
}

type PutOptions = NonNullable<Parameters<BlobStore['put']>[3]>;

/**
 * Keeps blobs in a folder of the local disk; layout in blob-layout.ts. Needs a file system with hard links.
 *
 * - A put writes the content next to its place, makes it durable, links it in under its hash, and only then moves the
 *   small pointer file of the path, atomically. Readers take no lock: they see one whole version.
 * - Pointers change only under the store's lock, so `ifMatch` and `delete` are decided one after another among all
 *   stores on the root, in this and in other processes (blob-lock.ts says where that ends).
 * - A put or delete that the attempts of one step make is done once, however late one of them comes (blob-marks.ts).
 * - What was acknowledged is on the disk, content first, together with the entries of its folders.
 * - Links below the root are refused, the root itself may be one.
 *
 * @throws BLW_CONFIG where the root cannot be made or used
 */
export async function createFileBlobStore(options: { root: string }): Promise<FileBlobStore> {
  try {
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    const root = await realpath(options.root);
    (await holdFolder('Blob store', root))?.release();
    return new LocalBlobStore(root, openStoreLock(join(root, 'lock.sqlite')));
  } catch (cause) {
    if (cause instanceof FlowError) throw cause;
    throw flowError(
      'BLW_CONFIG',
      `Blob root ${quote(options.root)}: it cannot be used (${errorCode(cause) ?? 'see the cause'}); expected a folder that the worker may write to. Correct --blob-root.`,
      { cause },
    );
  }
}

class LocalBlobStore implements FileBlobStore {
  readonly #temporary = new TemporaryFiles();

  constructor(
    private readonly root: string,
    private readonly lock: StoreLock,
  ) {}

  async put(tenant: string, path: string, source: Uint8Array | Readable, options: PutOptions = {}): Promise<BlobInfo> {
    try {
      options.signal?.throwIfAborted();
      const place = blobPlace(this.root, tenant, path);
      checkContentType(path, options.contentType);
      return await this.#put(place, source, options);
    } finally {
      // Also after success: a source that has ended does not mind.
      abandonSource(source);
    }
  }

  async #put(place: BlobPlace, source: Uint8Array | Readable, options: PutOptions): Promise<BlobInfo> {
    const subject = blobSubject(place.path);
    const { after, part } = options;
    const taken = after instanceof TakenFile ? after : undefined;
    const name = part === undefined ? undefined : newPartName(place, part.key);
    const create = () => guardIo(subject, () => this.#temporary.create(subject, place.tenant, name));
    // Ends before a large content is fetched in vain; what counts is the look under the lock.
    const [look, created] = await Promise.allSettled([
      guardIo(subject, () => inPointerFolder(place, (folder) => lookBefore(place, options, folder))),
      taken?.handOver() ?? create(),
    ]);
    const isOver = look.status === 'rejected' || look.value.done !== undefined;
    if (isOver && created.status === 'fulfilled') await created.value.discard();
    const { done } = fulfilled(look);
    if (done !== undefined) return done;
    const temporary = fulfilled(created);
    let isKept = false;
    try {
      const written = await writeContent(subject, temporary.handle, source, {
        ...contentRules(options),
        ...(taken === undefined ? {} : { after: taken }),
        ...(part === undefined
          ? {}
          : { onBegin: (describe) => part.onBegin(() => ({ name: basename(temporary.file), ...describe() })) }),
      });
      const content: WrittenContent = { ...written, file: temporary.file };
      return await guardIo(subject, () => this.#keep(place, content, temporary, options));
    } catch (error) {
      isKept = part?.keepsAfter(error) === true && (await partsFit(place, part));
      throw error;
    } finally {
      if (isKept) temporary.keep();
      else await temporary.discard();
      await taken?.forget();
    }
  }

  async takePart(
    tenant: string,
    path: string,
    options: { key: string; part: BlobPart; signal: AbortSignal },
  ): Promise<TakenPart | undefined> {
    return await takePart(blobPlace(this.root, tenant, path), options, this.#temporary);
  }

  /** Places the content as an object and writes the pointer to it, side by side, since both wait for the disk; then publishes it. */
  async #keep(
    place: BlobPlace,
    content: WrittenContent,
    temporary: TemporaryFile,
    options: PutOptions,
  ): Promise<BlobInfo> {
    const placing = placeObject(blobSubject(place.path), place.tenant, content, temporary.handle.sync());
    const drafting = this.#draft(place, content, temporary, options);
    const [object, draft] = await Promise.allSettled([placing, drafting]);
    try {
      return await this.#publish(place, { object: fulfilled(object), draft: fulfilled(draft) }, options);
    } finally {
      if (draft.status === 'fulfilled') await draft.value.release();
      if (object.status === 'fulfilled') object.value.release();
    }
  }

  async #draft(
    place: BlobPlace,
    { size, sha256 }: WrittenContent,
    beside: TemporaryFile,
    { contentType, execution }: PutOptions,
  ): Promise<PointerDraft> {
    return await PointerDraft.write(await this.#temporary.createBeside(beside), {
      path: place.path,
      size,
      sha256,
      modifiedAt: new Date(),
      ...(contentType === undefined ? {} : { contentType }),
      ...(execution === undefined ? {} : { writer: markOf(place, 'put', execution) }),
    });
  }

  /** Makes a new pointer the blob's current one. */
  async #publish(place: BlobPlace, news: NewBlob, options: PutOptions): Promise<BlobInfo> {
    // Before others would have to wait for the answer.
    await options.fence?.confirm();
    const replace = () => inPointerFolder(place, (folder) => replacePointer(place, folder, news, options));
    const { done, replaced } = await this.lock.run(replace, options.signal);
    // Also where an earlier attempt did it: that may have ended before this line.
    const hasMarks = done !== undefined || replaced?.writer !== undefined;
    await syncPlaces(place.tenant, hasMarks ? [place.folder, place.tenant.deleted] : [place.folder]);
    return done ?? infoOf(news.draft.pointer);
  }

  async stat(tenant: string, path: string): Promise<BlobInfo | undefined> {
    const place = blobPlace(this.root, tenant, path);
    const pointer = await guardIo(blobSubject(path), () => readPointer(place));
    return pointer === undefined ? undefined : infoOf(pointer);
  }

  async read(tenant: string, path: string, maxBytes: number): Promise<{ info: BlobInfo; content: Buffer } | undefined> {
    const place = blobPlace(this.root, tenant, path);
    return await guardIo(blobSubject(path), () => readConsistently(place, maxBytes));
  }

  async list(
    tenant: string,
    options: { prefix: string; limit: number; after?: string },
  ): Promise<{ entries: BlobInfo[]; next?: string }> {
    const subject = `List of blobs ${quote(options.prefix)}`;
    const range = { ...listStart(tenantPlaces(this.root, tenant), options.prefix), ...options };
    return await guardIo(subject, async () => {
      const entries: BlobInfo[] = [];
      for await (const info of walkBlobs(subject, range)) {
        const last = entries.at(-1);
        if (entries.length === options.limit && last !== undefined) return { entries, next: last.path };
        entries.push(infoOf(info));
      }
      return { entries };
    });
  }

  async delete(tenant: string, path: string, options: DeleteOptions = {}): Promise<boolean> {
    const place = blobPlace(this.root, tenant, path);
    return await guardIo(blobSubject(path), async () => {
      await options.fence?.confirm();
      const wasDeleted = await this.lock.run(() => removePointer(place, options));
      // Also where nothing was there: an earlier attempt may have ended before this line.
      await syncPlaces(place.tenant, [place.folder, place.tenant.deleted]);
      return wasDeleted;
    });
  }

  async sweep(options: { graceMs: number }): Promise<{ removed: number; freedBytes: number }> {
    const { root, lock } = this;
    const temporary = this.#temporary;
    return await guardIo('Sweep of the blob store', () => sweepStore({ root, lock, temporary, ...options }));
  }

  close(): void {
    this.lock.close();
  }
}

/** Content and pointer of a blob that no path leads to yet. */
interface NewBlob {
  readonly object: PlacedObject;
  readonly draft: PointerDraft;
}

/** Does something with the folder of a pointer held, where there is one. */
async function inPointerFolder<T>({ path, folder }: BlobPlace, work: (folder?: HeldFolder) => Promise<T>): Promise<T> {
  const held = await holdFolder(blobSubject(path), folder, { isNeededAgain: true });
  try {
    return await work(held);
  } finally {
    held?.release();
  }
}

/** Unless an earlier attempt did it. Under the store's lock. */
async function replacePointer(
  place: BlobPlace,
  folder: HeldFolder | undefined,
  { object, draft }: NewBlob,
  options: PutOptions,
): Promise<Before> {
  const [look, refreshed] = await Promise.allSettled([lookBefore(place, options, folder), object.refresh()]);
  const before = fulfilled(look);
  if (before.done !== undefined) return before;
  fulfilled(refreshed);
  const { replaced } = before;
  // What is replaced lies in a folder.
  if (replaced && folder !== undefined) await keepForWriter(folder.at(basename(place.pointer)), replaced, place);
  await options.fence?.confirm();
  await draft.move(place, folder);
  options.onPublished?.(draft.pointer.size, replaced === null ? 0 : replaced?.size);
  return before;
}

function contentRules({ maxBytes, expectedSha256, signal, onProgress }: PutOptions): ContentRules {
  return {
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(expectedSha256 === undefined ? {} : { expectedSha256 }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  };
}

async function readConsistently(
  place: BlobPlace,
  maxBytes: number,
): Promise<{ info: BlobInfo; content: Buffer } | undefined> {
  const subject = blobSubject(place.path);
  let previous: BlobInfo | undefined;
  for (let round = 1; round <= MAX_READS; round++) {
    const info = await readPointer(place);
    if (info === undefined) return undefined;
    if (info.size > maxBytes) {
      throw notRetryable(
        'BLW_FS_TOO_LARGE',
        `${subject} has ${info.size} bytes, expected at most ${maxBytes}. Pass its path instead of its content.`,
        { data: { size: info.size, maxBytes } },
      );
    }
    const content = await readObject(place.tenant, info);
    if (content !== undefined) return { info: infoOf(info), content };
    if (info.sha256 === previous?.sha256 && info.modifiedAt.getTime() === previous.modifiedAt.getTime()) {
      throw damaged(subject, `its content ${info.sha256} is missing`);
    }
    previous = info;
  }
  throw retryable('BLW_FS_IO', `${subject} was replaced ${MAX_READS} times while it was read. The step is retried.`);
}
