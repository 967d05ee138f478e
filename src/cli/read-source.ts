import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Cli } from './cli';
import { usageError } from './command-error';

/** Largest document that a command takes in, in bytes; it has at most 1,000,000 characters. */
const MAX_SOURCE_BYTES = 8 * 1024 * 1024;

/** The name of standard input on a command line. */
export const STDIN = '-';

/** How a source is called in messages. */
export function sourceName(source: string): string {
  return source === STDIN ? '<stdin>' : source;
}

/** Reads a file, or standard input for `-`. Throws BLW_USAGE where it cannot be read or is larger than `maxBytes` (8 MiB). */
export async function readSource(
  source: string,
  { stdin, cwd }: Cli,
  maxBytes: number = MAX_SOURCE_BYTES,
): Promise<Buffer> {
  const stream = source === STDIN ? stdin : createReadStream(resolve(cwd, source));
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > maxBytes) throw usageError(`${sourceName(source)}: larger than ${maxBytes} bytes`);
      chunks.push(bytes);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw usageError(`${sourceName(source)}: ${whyUnreadable(code)}`, {
      cause: error,
      help: 'Name a file, or - for stdin.',
    });
  }
  return Buffer.concat(chunks);
}

function whyUnreadable(code: string): string {
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'is a folder, expected a file';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user';
  return `cannot be read (${code})`;
}
