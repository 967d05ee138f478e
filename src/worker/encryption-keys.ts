import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ANY_TENANT, type EncryptionKey, KEY_BYTES, KeyRing } from '../activities/payloads/key-ring';
import { type ParsedDocument, parseDocumentText } from '../dsl/document';
import { flowError } from '../dsl/errors';
import { describeJsonType, isJsonObject, type Json } from '../dsl/json';
import { closestName, shortText } from '../dsl/problems';
import { TENANT } from '../dsl/start';
import { isOpenToOthers, openToOthers } from './file-rights';

const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const KEY_FORMS = 'expected env:VARIABLE, file:PATH, or 32 bytes in base64 (`beamline codec keygen` makes some)';
const FIELDS = ['id', 'key'];

/** Hears of files with keys that everybody may read. */
export type WarnOfFile = (message: string, fields: { readonly file: string }) => void;

/** A place in the key file. */
type Path = readonly (string | number)[];

/**
 * Reads a key file: YAML or JSON, a list of `{id, key}` by tenant or `*`. A relative path in it is taken from its folder. Throws
 * BLW_CONFIG with file, line and column; no message has any of a key. `warn` hears of files that everybody may read.
 */
export function readKeyRing(file: string, env: NodeJS.ProcessEnv, warn: WarnOfFile = () => undefined): KeyRing {
  const parsed = parseDocumentText(readText(file));
  if ('problems' in parsed) {
    const { line, column } = parsed.problems[0]?.position ?? { line: 1, column: 1 };
    // What the parser says may quote the line, and with it a key.
    throw flowError('BLW_CONFIG', `${file}:${line}:${column} not well-formed YAML or JSON; mend the text there`);
  }
  const keyFile = new KeyFile(file, parsed.document, env);
  const ring = keyFile.read();
  for (const secret of keyFile.filesWithKeys) {
    if (isOpenToOthers(secret)) warn(openToOthers('a file with keys of --encryption-keys'), { file: secret });
  }
  return ring;
}

/** As {@link readKeyRing}; no keys where no file is given. */
export function keyRingOf(file: string | undefined, env: NodeJS.ProcessEnv, warn?: WarnOfFile): KeyRing {
  return file === undefined ? KeyRing.EMPTY : readKeyRing(file, env, warn);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw flowError('BLW_CONFIG', `--encryption-keys ${file}: cannot be read (${reasonOf(cause)})`, { cause });
  }
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}

class KeyFile {
  /** Those that a key stands in: the key file itself, where it has one. */
  readonly filesWithKeys = new Set<string>();

  constructor(
    private readonly file: string,
    private readonly document: ParsedDocument,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  read(): KeyRing {
    const { value } = this.document;
    if (!isJsonObject(value)) {
      throw this.#wrong(
        [],
        `got ${describeJsonType(value)}, expected keys by tenant, such as "acme: [{ id: k1, key: … }]"`,
      );
    }
    const keys = new Map<string, readonly EncryptionKey[]>();
    for (const [tenant, list] of Object.entries(value)) {
      if (tenant !== ANY_TENANT && !TENANT.test(tenant)) {
        throw this.#wrong([tenant], `got "${shortText(tenant)}", expected the name of a tenant, or "*"`, 'key');
      }
      keys.set(tenant, this.#readKeys(tenant, list));
    }
    if (keys.size > 0) return new KeyRing(keys);
    throw this.#wrong([], 'got no tenant, expected at least one, or "*"');
  }

  #readKeys(tenant: string, list: Json): EncryptionKey[] {
    if (!Array.isArray(list) || list.length === 0) {
      throw this.#wrong([tenant], 'expected a list of { id, key }, of which the first encrypts and all decrypt');
    }
    const keys = list.map((item, index) => this.#readKey([tenant, index], item));
    for (const [index, { id }] of keys.entries()) {
      if (keys.findIndex((key) => key.id === id) === index) continue;
      throw this.#wrong([tenant, index, 'id'], `got the id "${id}" twice, expected one each`);
    }
    return keys;
  }

  #readKey(path: Path, item: Json): EncryptionKey {
    if (!isJsonObject(item)) throw this.#wrong(path, `got ${describeJsonType(item)}, expected { id, key }`);
    for (const name of Object.keys(item)) {
      if (FIELDS.includes(name)) continue;
      const meant = closestName(name, FIELDS);
      const advice = meant === undefined ? 'there are: id, key' : `did you mean "${meant}"?`;
      throw this.#wrong([...path, name], `"${shortText(name)}" is not known; ${advice}`, 'key');
    }
    const { id, key } = item;
    if (typeof id !== 'string' || !KEY_ID.test(id)) {
      throw this.#wrong([...path, 'id'], 'expected 1 to 64 letters, digits, ".", "_" or "-" as text');
    }
    if (typeof key !== 'string') throw this.#wrong([...path, 'key'], KEY_FORMS);
    return { id, secret: this.#decode([...path, 'key'], this.#resolve([...path, 'key'], key)) };
  }

  /** The key as text, wherever it is. */
  #resolve(path: Path, source: string): string {
    const [, kind, place = ''] = /^(env|file):(.+)$/s.exec(source) ?? [];
    if (kind === 'env') {
      const value = this.env[place];
      if (value) return value;
      throw this.#wrong(path, `the variable ${shortText(place)} is not set; expected it to have the key`);
    }
    const file = kind === 'file' ? resolve(dirname(this.file), place) : this.file;
    this.filesWithKeys.add(file);
    if (kind !== 'file') return source;
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw this.#wrong(path, `the file ${shortText(place)} cannot be read (${reasonOf(error)})`);
    }
  }

  #decode(path: Path, text: string): Uint8Array {
    const trimmed = text.trim();
    const isBase64 = /^[A-Za-z0-9+/_-]*={0,2}$/.test(trimmed);
    const bytes = Buffer.from(trimmed, 'base64');
    if (isBase64 && bytes.length === KEY_BYTES) return bytes;
    const got = isBase64 ? `${bytes.length} bytes` : 'something that is no base64';
    throw this.#wrong(path, `got ${got}, ${KEY_FORMS}`);
  }

  #wrong(path: Path, message: string, part: 'key' | 'value' = 'value') {
    const { line, column } = this.document.locate(path, part);
    const [tenant] = path;
    const whose = tenant === undefined ? '' : `${JSON.stringify(shortText(String(tenant)))}: `;
    return flowError('BLW_CONFIG', `${this.file}:${line}:${column} ${whose}${message}`);
  }
}
