import { createHash } from 'node:crypto';
import { cpSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { encodeTenant } from '../../src/activities/ports/blob-path';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { described, type Outcome } from './attack';

/** The tenant that attacks, and the one that is attacked. */
export const ACME = 'acme';
export const GLOBEX = 'globex';
export const SECRET = 'the secret of globex';
export const OUTSIDE_SECRET = 'the secret of the machine';

export const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

/** A store with two tenants, and files beside it that are nobody's. */
export class BlobWorld {
  readonly #stores: FileBlobStore[] = [];
  readonly #folders = new Set<string>();
  readonly #releases: (() => Promise<void>)[] = [];
  readonly #templates = new Map<((world: BlobWorld) => Promise<void>) | undefined, string>();
  #base = '';
  #store: FileBlobStore | undefined;
  #before = '';

  static async open(): Promise<BlobWorld> {
    const world = new BlobWorld();
    await world.renew();
    return world;
  }

  get base(): string {
    return this.#base;
  }

  get root(): string {
    return join(this.#base, 'root');
  }

  get outside(): string {
    return join(this.#base, 'outside');
  }

  get store(): FileBlobStore {
    if (this.#store === undefined) throw new Error('there is no store yet');
    return this.#store;
  }

  /**
   * A fresh store, with what `prepare` puts into it; what an attack has planted in the one before is no business of the next. The
   * folder is made once for each `prepare`, and then copied.
   */
  async renew(prepare?: (world: BlobWorld) => Promise<void>): Promise<void> {
    for (const release of this.#releases.splice(0)) await release();
    for (const store of this.#stores.splice(0)) store.close();
    if (this.#base !== '' && ![...this.#templates.values()].includes(this.#base)) await this.#remove(this.#base);
    const template = this.#templates.get(prepare) ?? (await this.#makeTemplate(prepare));
    await this.#makeBase();
    cpSync(template, this.#base, { recursive: true, preserveTimestamps: true });
    this.#store = await this.openStore();
    this.settle();
  }

  async #makeTemplate(prepare: ((world: BlobWorld) => Promise<void>) | undefined): Promise<string> {
    await this.#makeBase();
    await mkdir(this.outside);
    await writeFile(join(this.outside, 'secret'), OUTSIDE_SECRET);
    this.#store = await this.openStore();
    await this.store.put(ACME, 'own', Buffer.from('own'));
    await this.store.put(GLOBEX, 'secret', Buffer.from(SECRET));
    await prepare?.(this);
    for (const store of this.#stores.splice(0)) store.close();
    this.#templates.set(prepare, this.#base);
    return this.#base;
  }

  async #remove(folder: string): Promise<void> {
    this.#folders.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }

  async #makeBase(): Promise<void> {
    this.#base = await realpath(await mkdtemp(join(tmpdir(), 'blw-attack-blobs-')));
    this.#folders.add(this.#base);
  }

  async openStore(): Promise<FileBlobStore> {
    const store = await createFileBlobStore({ root: this.root });
    this.#stores.push(store);
    return store;
  }

  /** Ends what an attempt keeps going, before the next store. */
  onRenew(release: () => Promise<void>): void {
    this.#releases.push(release);
  }

  /** Takes what lies outside as it is now for untouched. */
  settle(): void {
    this.#before = this.#snapshot();
  }

  /** Says so where something outside of the attacker's folder, or that of `tenant`, is not as it was. */
  async findDamage(tenant = ACME): Promise<string | undefined> {
    const own = `root/${encodeTenant(tenant)}`;
    const after = this.#snapshot()
      .split('\n')
      .filter((line) => !line.startsWith(own))
      .join('\n');
    if (after !== this.#before)
      return `what lies outside of the tenant's folder has changed: ${changed(this.#before, after)}`;
    const blob = await this.store.read(GLOBEX, 'secret', 1_000);
    return blob?.content.toString() === SECRET ? undefined : 'the blob of the other tenant is gone';
  }

  /** Says so where a call gave what is not the tenant's. */
  findLoot(outcome: Outcome<unknown>): string | undefined {
    const text = described(outcome) + ('value' in outcome ? contentOf(outcome.value) : '');
    const loot = [SECRET, OUTSIDE_SECRET, sha256(SECRET), sha256(OUTSIDE_SECRET), this.#base].find((one) =>
      text.includes(one),
    );
    return loot === undefined ? undefined : `it gave away ${JSON.stringify(loot)}`;
  }

  /** Names, sizes and contents of all that is neither the attacker's nor the lock. */
  #snapshot(): string {
    return list(this.#base)
      .filter((file) => !/^root\/(?:acme=t|lock\.sqlite)/.test(file))
      .map((file) => `${file} ${contentAt(join(this.#base, file))}`)
      .join('\n');
  }

  async close(): Promise<void> {
    for (const release of this.#releases.splice(0)) await release();
    for (const store of this.#stores) store.close();
    for (const folder of this.#folders) await this.#remove(folder);
  }
}

function list(base: string): string[] {
  return readdirSync(base, { recursive: true, withFileTypes: true })
    .map((entry) => relative(base, join(entry.parentPath, entry.name)))
    .sort();
}

function contentAt(file: string): string {
  const found = lstatSync(file);
  return found.isFile()
    ? createHash('sha256').update(readFileSync(file)).digest('hex')
    : found.isDirectory()
      ? '/'
      : '?';
}

function changed(before: string, after: string): string {
  const known = new Set(before.split('\n'));
  const now = new Set(after.split('\n'));
  const more = [...now].filter((line) => !known.has(line));
  const less = [...known].filter((line) => !now.has(line));
  return [...more.map((line) => `+ ${line}`), ...less.map((line) => `- ${line}`)].slice(0, 3).join(', ');
}

function contentOf(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('content' in value)) return '';
  return Buffer.isBuffer(value.content) ? value.content.toString() : '';
}
