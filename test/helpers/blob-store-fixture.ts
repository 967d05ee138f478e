import { createHash } from 'node:crypto';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockFailure } from '../../src/activities/block-failure';
import { encodeBlob, parseBlobPath } from '../../src/activities/ports/blob-path';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { failureOf as blockFailureOf } from './block-context';

/** The tenant of all blobs that a test does not give to another. */
export const TENANT = 'acme';

export const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
export const bytes = (text: string) => Buffer.from(text, 'utf8');

/** What callers act on in a failure. */
export const summary = (failure: BlockFailure) => ({ code: failure.data.code, retryable: failure.options.retryable });

/** A text for the name of a test. */
export const shown = (text: string) =>
  JSON.stringify(text.length > 30 ? `${text.slice(0, 10)}… (${text.length})` : text);

export async function filesUnder(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return found.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}

/** A blob store in a temporary folder. */
export class BlobStoreFixture {
  #base = '';
  #store: FileBlobStore | undefined;
  #opened: FileBlobStore[] = [];

  /** A folder around the root, for what lies outside of the store. */
  get base(): string {
    return this.#base;
  }

  get root(): string {
    return join(this.#base, 'root');
  }

  get store(): FileBlobStore {
    if (this.#store === undefined) throw new Error('the store is there from beforeEach on');
    return this.#store;
  }

  async setUp(): Promise<void> {
    this.#base = await realpath(await mkdtemp(join(tmpdir(), 'blobs-')));
    this.#store = await this.open();
  }

  async tearDown(): Promise<void> {
    for (const store of this.#opened.splice(0)) store.close();
    await rm(this.#base, { recursive: true, force: true });
  }

  /** One more store, closed after the test. */
  async open(root = this.root): Promise<FileBlobStore> {
    const store = await createFileBlobStore({ root });
    this.#opened.push(store);
    return store;
  }

  /** The failure, which must not tell where the store lies. */
  async failureOf(work: Promise<unknown>): Promise<BlockFailure> {
    const failure = await blockFailureOf(work);
    expect(failure.message).not.toContain(this.root);
    return failure;
  }

  async contentOf(path: string): Promise<string | undefined> {
    return (await this.store.read(TENANT, path, 1 << 26))?.content.toString('utf8');
  }

  temporaryFiles(): Promise<string[]> {
    return filesUnder(join(this.root, 'acme=t', 'temporary'));
  }

  objectFiles(): Promise<string[]> {
    return filesUnder(join(this.root, 'acme=t', 'objects'));
  }

  objectFile(content: string): string {
    return join(this.root, 'acme=t', 'objects', sha256(content).slice(0, 2), sha256(content));
  }

  pointerFile(path: string): string {
    return join(this.root, 'acme=t', 'blobs', ...encodeBlob(parseBlobPath(path)));
  }
}

/** A fixture with a fresh store for every test of the file. */
export function useBlobStore(): BlobStoreFixture {
  const fixture = new BlobStoreFixture();
  beforeEach(() => fixture.setUp());
  afterEach(() => fixture.tearDown());
  return fixture;
}
