import type { BigIntStats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type FlowError, flowError } from '../../dsl/errors';
import { formatProblem } from '../../dsl/problems';
import { parsePolicy, policyDigest } from './parse-policy';
import type { Policy } from './policy';

/** Largest file: 1,000,000 characters, which UTF-8 writes with up to 4 bytes each. */
const MAX_FILE_BYTES = 4_000_000n;

/** Lines of an error, which goes into a log; `beamline policy check` has all of them. */
const MAX_SHOWN = 20;

/** How a file looks from outside: as long as the mark is the same, nobody has written it. */
export interface FileLook {
  readonly mark: string;
  /** When it was last written or replaced, ms since 1970; absent where it cannot be read. */
  readonly changedAtMs?: number;
  /** Why it cannot be read. */
  readonly reason?: string;
}

/**
 * A file as it was read: a policy, or why it is none. `key` is the same for the same contents, or the same reason; `isRead`
 * tells whether there were contents.
 */
export type PolicyReading = { readonly key: string; readonly isRead: boolean } & (
  | { readonly policy: Policy; readonly error?: undefined }
  | { readonly policy?: undefined; readonly error: FlowError }
);

/** Looks at a file without reading it. */
export async function lookAt(file: string): Promise<FileLook> {
  let info: BigIntStats;
  try {
    info = await stat(file, { bigint: true });
  } catch (error) {
    const reason = whyUnreadable(error);
    return { mark: reason, reason };
  }
  const { dev, ino, size, mtimeNs, ctimeNs } = info;
  const mark = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  // A pipe would block, a device may never end.
  if (!info.isFile()) return { mark, reason: info.isDirectory() ? 'is a folder, expected a file' : 'is no plain file' };
  if (size > MAX_FILE_BYTES) return { mark, reason: `has ${size} bytes, expected at most ${MAX_FILE_BYTES}` };
  return { mark, changedAtMs: Number(ctimeNs / 1_000_000n) };
}

/** Reads a file that looks like this. Never throws for what is in the file, or for a file that cannot be read. */
export async function readPolicyFile(file: string, look: FileLook): Promise<PolicyReading> {
  if (look.reason !== undefined) return unreadable(file, look.reason);
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return unreadable(file, whyUnreadable(error), error);
  }
  const key = policyDigest(bytes);
  const { policy, problems } = parsePolicy(bytes, dirname(file));
  if (policy !== undefined) return { key, isRead: true, policy };
  const lines = problems.slice(0, MAX_SHOWN).map((problem) => formatProblem(problem, file));
  if (problems.length > lines.length) lines.push(`and ${problems.length - lines.length} more problems`);
  const [first = ''] = lines;
  const detail = lines.length === 1 ? first : [`the policy file has ${problems.length} problems:`, ...lines].join('\n');
  return { key, isRead: true, error: flowError('BLW_POLICY_INVALID', detail) };
}

function unreadable(file: string, reason: string, cause?: unknown): PolicyReading {
  return { key: reason, isRead: false, error: flowError('BLW_POLICY_INVALID', `${file}: ${reason}`, { cause }) };
}

function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code})`;
}
