import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Cli } from './cli';
import { usageError } from './command-error';

/**
 * Writes a command's result: to `--out FILE` (or the file of another flag) where that is given, else to stdout. The text ends with a line
 * end. Throws BLW_USAGE where the file cannot be written.
 */
export async function writeOut(text: string, out: string | undefined, cli: Cli, flag = '--out'): Promise<void> {
  if (out === undefined) {
    cli.out.line(text.replace(/\n$/, ''));
    return;
  }
  const file = resolve(cli.cwd, out);
  try {
    await writeFile(file, text);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usageError(`${flag} ${file}: cannot be written (${code ?? String(cause)})`, { cause });
  }
}
