import { type FileHandle, realpath, unlink } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { type BlockFailure, notRetryable, retryable } from '../block-failure';

/**
 * Set-up faults and denials: the same attempt again meets them again. All other errors of a disk may pass; Linux also makes a file
 * system read-only (EROFS) after errors of its disk, until somebody has looked, and what is mounted in the middle gives EXDEV once.
 */
const LASTING = new Set([
  'EACCES',
  'EPERM',
  'ELOOP',
  'ENOTDIR',
  'EISDIR',
  'EINVAL',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EFBIG',
]);

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space on the disk of the blob store',
  EDQUOT: "Raise the disk quota of the worker's user",
  EACCES: 'Give the worker the right to read and write its blob store',
  EPERM: 'Give the worker the right to read and write its blob store, on a file system with hard links',
  EROFS: 'Mount the disk of the blob store writable',
  EMFILE: 'Raise the limit of open files (ulimit -n)',
  ENFILE: "Raise the system's limit of open files",
};

interface SystemError {
  readonly code: string;
  readonly syscall: string;
  readonly errno?: number;
}

/** By shape, not by class: errors of Node may come from another realm. */
function isSystemError(error: unknown): error is SystemError {
  if (typeof error !== 'object' || error === null || errorCode(error) === undefined) return false;
  return 'syscall' in error && typeof error.syscall === 'string';
}

/** The code of an error that has one, e.g. `ENOSPC` or `SQLITE_CANTOPEN`. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** True where an error of the file system has one of these codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return isSystemError(error) && codes.includes(error.code);
}

/** True for an error of the file system that the same attempt again would meet again. */
export function isLasting(error: unknown): boolean {
  return isSystemError(error) && LASTING.has(error.code);
}

/**
 * Runs file operations; an error of the file system becomes BLW_FS_IO (BLW_FS_PATH where the path is too long for it).
 * `subject` begins the message, e.g. `Blob "a/b"`. The absolute path, which Node puts into its messages, stays out.
 */
export async function guardIo<T>(subject: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isSystemError(error) ? ioFailure(subject, error) : error;
  }
}

function ioFailure(subject: string, error: SystemError): BlockFailure {
  const { code, syscall, errno } = error;
  const meaning = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  const got = `${code}${meaning === undefined ? '' : ` (${meaning})`}`;
  const cause = new Error(`${syscall}: ${got}`);
  if (code === 'ENAMETOOLONG') {
    const detail = `${subject}: the file system of the blob store refused the path as too long. Shorten the path, or move the store to a shorter root.`;
    return notRetryable('BLW_FS_PATH', detail, { cause });
  }
  const advice = ADVICE[code] ?? 'Look at the disk of the blob store: space, permissions, health';
  const isForGood = LASTING.has(code);
  const detail = `${subject}: ${syscall} failed with ${got}. ${advice}${isForGood ? '.' : '; the step is retried.'}`;
  return (isForGood ? notRetryable : retryable)('BLW_FS_IO', detail, { cause });
}

/** The store's files are not as it left them: BLW_FS_IO, not retryable. */
export function damaged(subject: string, got: string): BlockFailure {
  return notRetryable(
    'BLW_FS_IO',
    `${subject}: ${got}; expected the blob store's files as it left them. Restore them from a backup, or write the blob again.`,
  );
}

/**
 * True where the folder exists; false where it does not. One system call looks at every component of the path. A link that
 * is planted between this check and the use of the folder is not seen: see blob-folder.ts.
 *
 * @throws BLW_FS_IO, not retryable, where a symbolic link is in the way
 */
export async function isFolder(subject: string, folder: string): Promise<boolean> {
  try {
    if ((await realpath(folder)) === folder) return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
  throw damaged(subject, 'a folder of the blob store is a symbolic link');
}

/**
 * Closes a file that nothing more is wanted of: what was to be durable is flushed, and the rest was only read, or is no loss. So nobody waits for it,
 * and an error of it says nothing.
 */
export function letGo(handle: FileHandle): void {
  handle.close().catch(() => undefined);
}

/** Removes a file; false where there was none. */
export async function removeFile(file: string): Promise<boolean> {
  try {
    await unlink(file);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
