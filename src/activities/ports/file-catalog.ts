import type { BigIntStats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { type CatalogFile, CatalogIndex } from '../../dsl/catalog/catalog-index';
import type { Catalog } from '../../dsl/catalog/library';
import { parseDocumentText } from '../../dsl/document';
import { flowError } from '../../dsl/errors';
import { FLOW_TEST_FILE } from '../../dsl/flow-test/flow-test';
import type { Problem } from '../../dsl/problems';
import { decodeUtf8 } from '../../dsl/utf8';

/** Most files of a catalog, and deepest nesting of its folders: each start of a flow looks at all of them. */
const MAX_FILES = 10_000;
const MAX_DEPTH = 32;

/** A document has at most 1,000,000 characters, which UTF-8 writes with up to 4 bytes each. */
const MAX_FILE_BYTES = 4_000_000n;

/** Tests may stand beside their flows. */
const isDocument = (name: string) => /\.(?:yaml|yml|json)$/.test(name) && !FLOW_TEST_FILE.test(name);

/** A file that was found, and what tells whether it is still the one that was read. */
interface FoundFile {
  readonly path: string;
  readonly absolute: string;
  readonly size: bigint;
  /** Of the file's identity, size and time. */
  readonly mark: string;
}

/**
 * A folder of flows and functions, in YAML or JSON. Read when asked; files that have not changed since (by time, size and
 * inode) are not read again. Names that begin with a dot are left out, and links that lead out of the folder, or back to
 * a folder that they are in, are not followed.
 */
export class FileCatalog implements Catalog {
  readonly #folder: string;
  readonly #files = new Map<string, { readonly mark: string; readonly file: CatalogFile }>();
  #last: { readonly mark: string; readonly index: CatalogIndex } | undefined;

  constructor(folder: string) {
    this.#folder = resolve(folder);
  }

  /** All that is there now. Throws BLW_CATALOG_INVALID where the folder cannot be read or has too many files. */
  async read(): Promise<CatalogIndex> {
    const root = await this.#attempt(() => realpath(this.#folder));
    const found: FoundFile[] = [];
    await this.#attempt(() => this.#scan({ path: '', real: [root] }, found));
    found.sort((left, right) => (left.path < right.path ? -1 : 1));
    const mark = [root, ...found.map((file) => `${file.path} ${file.mark}`)].join('\n');
    if (this.#last?.mark === mark) return this.#last.index;
    const files: CatalogFile[] = [];
    for (const file of found) files.push(await this.#file(file));
    const index = new CatalogIndex(files, [...new Set([this.#folder, root])].map(withSlashes));
    this.#forgetAllBut(new Set(found.map(({ path }) => path)));
    this.#last = { mark, index };
    return index;
  }

  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === undefined) throw cause;
      throw flowError('BLW_CATALOG_INVALID', `the catalog ${this.#folder} cannot be read (${code})`, { cause });
    }
  }

  /** `real`: where the folder is, and before it those that it is in. A link back to one of them is left out. */
  async #scan({ path: folder, real }: { path: string; real: readonly string[] }, found: FoundFile[]): Promise<void> {
    if (folder.split('/').length > MAX_DEPTH) throw this.#tooLarge(`folders nested deeper than ${MAX_DEPTH} levels`);
    const [root = ''] = real;
    const here = real.at(-1) ?? root;
    for (const item of await readdir(here, { withFileTypes: true })) {
      if (item.name.startsWith('.') || item.name === 'node_modules') continue;
      const path = folder === '' ? item.name : `${folder}/${item.name}`;
      const own = join(here, item.name);
      const absolute = item.isSymbolicLink() ? await inside(root, own) : own;
      const info = absolute === undefined ? undefined : await present(absolute);
      if (absolute === undefined || info === undefined) continue;
      if (info.isDirectory() && !real.includes(absolute)) await this.#scan({ path, real: [...real, absolute] }, found);
      else if (info.isFile() && isDocument(item.name)) found.push(foundFile(path, absolute, info));
      if (found.length > MAX_FILES) throw this.#tooLarge(`more than ${MAX_FILES} files`);
    }
  }

  #tooLarge(reason: string): Error {
    return flowError('BLW_CATALOG_INVALID', `the catalog ${this.#folder} has ${reason}; is it the right folder?`);
  }

  async #file({ path, absolute, size, mark }: FoundFile): Promise<CatalogFile> {
    const known = this.#files.get(path);
    if (known?.mark === mark) return known.file;
    const file = size > MAX_FILE_BYTES ? unreadable(path, TOO_LARGE) : await readCatalogFile(path, absolute);
    this.#files.set(path, { mark, file });
    return file;
  }

  #forgetAllBut(paths: ReadonlySet<string>): void {
    for (const path of this.#files.keys()) if (!paths.has(path)) this.#files.delete(path);
  }
}

function foundFile(path: string, absolute: string, { size, mtimeNs, ino }: BigIntStats): FoundFile {
  return { path, absolute, size, mark: `${size} ${mtimeNs} ${ino}` };
}

/** Where a link leads, if that is inside of the folder: volumes of Kubernetes are made of such links. */
async function inside(root: string, link: string): Promise<string | undefined> {
  const target = await orAbsent(realpath(link));
  return target?.startsWith(root + sep) === true ? target : undefined;
}

async function present(file: string): Promise<BigIntStats | undefined> {
  return await orAbsent(stat(file, { bigint: true }));
}

/** A file may go away while the folder is looked at; a link may lead to itself, or through a file. */
async function orAbsent<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function readCatalogFile(path: string, absolute: string): Promise<CatalogFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(absolute);
  } catch (error) {
    return unreadable(path, `the file cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) return unreadable(path, 'the file is not UTF-8 text');
  const parsed = parseDocumentText(text);
  return 'problems' in parsed
    ? { path, problems: parsed.problems }
    : { path, value: parsed.document.value, problems: [] };
}

const TOO_LARGE = `the file has more than ${MAX_FILE_BYTES} bytes`;

function unreadable(path: string, message: string): CatalogFile {
  const problem: Problem = { code: 'BLW_CATALOG_INVALID', path: [], message };
  return { path, problems: [problem] };
}

function withSlashes(path: string): string {
  return path.split(sep).join('/');
}
