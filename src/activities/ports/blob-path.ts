import { createHash } from 'node:crypto';
import { type BlockFailure, notRetryable } from '../block-failure';

/** Longest path, in bytes of UTF-8. */
export const MAX_PATH_BYTES = 1024;

/**
 * Encoded characters after which a segment goes on in a nested folder. A name is then at most 180 + 11 (the rest of one
 * character) + 2 (a reserved name's escape) + 2 (suffix) bytes: below the 255 of every common file system.
 */
const PIECE_LENGTH = 180;

/** What a name in the tree of pointers stands for. */
export type TreeNameKind = 'blob' | 'folder' | 'piece';

const SUFFIXES: Readonly<Record<TreeNameKind, string>> = { blob: '=b', folder: '=d', piece: '=c' };
const KINDS: ReadonlyMap<string, TreeNameKind> = new Map([
  ['b', 'blob'],
  ['d', 'folder'],
  ['c', 'piece'],
]);

/** Names that Windows gives to devices, also where an extension follows; our suffixes defuse the bare ones. */
const RESERVED_WITH_EXTENSION = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])\./;

/**
 * Checks a blob's path and returns its segments.
 *
 * A path is relative, 1 to 1,024 bytes of UTF-8, segments split by `/`; no segment is empty, `.` or `..`; no backslash,
 * no control character, no half of a surrogate pair. Nothing else is refused and nothing is changed: paths are compared
 * as they are, so the composed and the decomposed form of `é` (NFC, NFD) are two blobs, and so are `a` and `A`.
 *
 * @throws BLW_FS_PATH, not retryable
 */
export function parseBlobPath(path: string): string[] {
  if (path === '') throw badPath(path, 'it is empty', 'a path of at least one segment');
  checkCharacters(path);
  const segments = path.split('/');
  segments.forEach((segment, index) => {
    checkSegment(path, segment, index);
  });
  return segments;
}

/**
 * Checks the prefix of a list: like a path, but it may be empty or end anywhere, so only its whole segments are checked.
 * Returns those segments and the text they make with their slashes.
 *
 * @throws BLW_FS_PATH, not retryable
 */
export function parseListPrefix(prefix: string): { segments: string[]; base: string } {
  checkCharacters(prefix);
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const segments = base.split('/').slice(0, -1);
  segments.forEach((segment, index) => {
    checkSegment(prefix, segment, index);
  });
  return { segments, base };
}

function checkCharacters(path: string): void {
  const bytes = Buffer.byteLength(path, 'utf8');
  if (bytes > MAX_PATH_BYTES) throw badPath(path, `it has ${bytes} bytes`, `at most ${MAX_PATH_BYTES}`);
  if (path.includes('\\')) throw badPath(path, 'it holds a backslash', '/ between segments');
  if (/\p{Cc}/u.test(path)) throw badPath(path, 'it holds a control character', 'printable characters');
  if (/\p{Cs}/u.test(path)) throw badPath(path, 'it holds half of a surrogate pair', 'well-formed Unicode');
}

function checkSegment(path: string, segment: string, index: number): void {
  if (segment === '')
    throw badPath(path, `segment ${index + 1} is empty`, 'a relative path with one / between segments');
  if (segment === '.' || segment === '..') {
    throw badPath(path, `segment ${index + 1} is ${segment}`, 'a path without . and .. segments');
  }
}

function badPath(path: string, got: string, expected: string): BlockFailure {
  return notRetryable('BLW_FS_PATH', `Blob path ${quote(path)}: ${got}; expected ${expected}. Correct the path.`);
}

/** A path for a message: quoted, control characters escaped, cut where it is long. */
export function quote(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}

/**
 * Names of the folders that lead to what is inside a segment list, from the root of the tree.
 *
 * Names hold only a-z, 0-9, `_`, `-`, `.`, `%` and `=`, so they mean the same on file systems that ignore case or
 * normalise Unicode. Everything else, capitals too, is percent-encoded. The suffix keeps a blob `a` (`a=b`) apart from a
 * folder `a` (`a=d`) and makes `.` and device names of Windows harmless. A segment whose encoding is long goes on in a
 * nested folder (`…=c`) at a place that depends only on the characters before it; so everything below a name has the
 * name's text as its beginning, nothing beside it has, and walking the tree sorted by text is walking the paths in order.
 */
export function encodeFolders(segments: readonly string[]): string[] {
  return segments.flatMap((segment) => encodeSegment(segment, 'folder'));
}

/** Names of the folders that lead to a blob's pointer, and the pointer's own name as the last. */
export function encodeBlob(segments: readonly string[]): string[] {
  return [...encodeFolders(segments.slice(0, -1)), ...encodeSegment(segments.at(-1) ?? '', 'blob')];
}

function encodeSegment(segment: string, kind: 'blob' | 'folder'): string[] {
  const names: string[] = [];
  let piece = '';
  for (const character of segment) {
    piece += encodeCharacter(character);
    if (piece.length >= PIECE_LENGTH) {
      names.push(finishName(piece, 'piece'));
      piece = '';
    }
  }
  names.push(finishName(piece, kind));
  return names;
}

function encodeCharacter(character: string): string {
  return /^[a-z0-9_.-]$/.test(character) ? character : encodeBytes(character);
}

function encodeBytes(character: string): string {
  return Array.from(Buffer.from(character, 'utf8'), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

function finishName(piece: string, kind: TreeNameKind): string {
  const safe = RESERVED_WITH_EXTENSION.test(piece) ? encodeBytes(piece.charAt(0)) + piece.slice(1) : piece;
  return safe + SUFFIXES[kind];
}

/** What a name in the tree stands for; undefined for a name that the store would not have chosen. */
export function decodeTreeName(name: string): { kind: TreeNameKind; text: string } | undefined {
  const match = /^((?:[a-z0-9_.-]|%[0-9a-f]{2})*)=([bcd])$/.exec(name);
  const kind = KINDS.get(match?.[2] ?? '');
  if (match === null || kind === undefined) return undefined;
  const bytes = Buffer.from(
    (match[1] ?? '').replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  const text = bytes.toString('utf8');
  return encodeSegment(text, kind === 'folder' ? 'folder' : 'blob')[0] === name ? { kind, text } : undefined;
}

/**
 * Name of a tenant's folder: encoded like a segment; a long name by its hash.
 *
 * @throws BLW_FS_PATH, not retryable, where the name is empty or not well-formed
 */
export function encodeTenant(tenant: string): string {
  if (tenant === '' || /\p{Cs}/u.test(tenant)) {
    throw notRetryable(
      'BLW_FS_PATH',
      `Tenant ${quote(tenant)} has no blobs: expected a name of at least one character, in well-formed Unicode. Correct the tenant.`,
    );
  }
  const encoded = Array.from(tenant, encodeCharacter).join('');
  if (encoded.length > PIECE_LENGTH) return `${createHash('sha256').update(tenant).digest('hex')}=h`;
  return finishName(encoded, 'folder').replace(/=d$/, '=t');
}

/** True for the name of a tenant's folder. */
export function isTenantFolderName(name: string): boolean {
  return /=[th]$/.test(name);
}
