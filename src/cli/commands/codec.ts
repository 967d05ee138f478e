import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { KEY_BYTES } from '../../activities/payloads/key-ring';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';

const EXAMPLES = `
Examples:
  $ beamline codec keygen --out acme-2026.key

The keys are for --encryption-keys of workers and commands. \`beamline codec-server\` decrypts for Temporal's UI and command line
tool. See docs/encryption.md.`;

const KEYGEN_EXAMPLES = `
Examples:
  $ beamline codec keygen --out acme-2026.key
  $ beamline codec keygen | put-into-vault

A key file (--encryption-keys) names it:

  acme:
    - { id: acme-2026, key: file:./acme-2026.key }

Whoever has the key can read the tenant's payloads; without it they are lost. Keep a copy where you keep secrets. Exit codes: 0
done; 2 there is such a file already, or it cannot be written.`;

/** `beamline codec keygen` */
export const addCodec: AddCommand = (command, cli, action) => {
  command.description('Makes keys that payloads are encrypted with.').addHelpText('after', EXAMPLES);
  command
    .command('keygen')
    .description('Makes a new key, 32 random bytes in base64, and prints it, or writes it into a file.')
    .option('--out <FILE>', 'file for it, which only you may read; none is overwritten')
    .addHelpText('after', KEYGEN_EXAMPLES)
    .action(action(({ out }: { out?: string }) => generate(out, cli)));
};

async function generate(out: string | undefined, cli: Cli): Promise<ExitCode> {
  const key = randomBytes(KEY_BYTES).toString('base64');
  if (out === undefined) {
    cli.out.line(key);
    return EXIT.done;
  }
  try {
    // `wx`: a key that is in use is never written over.
    await writeFile(resolve(cli.cwd, out), `${key}\n`, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    throw usageError(`${out}: ${reason}`, { help: 'Name another file; nothing was overwritten.', cause });
  }
  cli.err.line(`wrote a key into ${out}; name it in the file of --encryption-keys, and keep a copy`);
  return EXIT.done;
}
