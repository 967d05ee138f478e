import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type EncryptionKey, KEY_BYTES } from '../../activities/payloads/key-ring';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { addEncryptionKeysFlag, type ConnectionFlags, keysFileOf, keysOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { counted } from '../flow-file';
import { checkTenantFlag } from '../tenant-flag';

const EXAMPLES = `
Examples:
  $ beamline codec keygen --out acme-2026.key
  $ beamline codec export --tenant acme --encryption-keys keys.yaml --out acme.yaml

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

const EXPORT_EXAMPLES = `
Examples:
  $ beamline codec export --tenant acme --encryption-keys keys.yaml --out acme.yaml

The file is for --encryption-keys of those who start flows of this tenant, decide, or look at them: it has the tenant's own keys, and
what is derived for it from the keys of '*', but nothing of which another tenant's could be made. Exit codes: 0 done; 2 there is no
key for the tenant, there is such a file already, or it cannot be written.`;

interface ExportFlags extends ConnectionFlags {
  readonly tenant: string;
  readonly out?: string;
}

/** `beamline codec keygen` and `beamline codec export` */
export const addCodec: AddCommand = (command, cli, action) => {
  command.description('Makes keys that payloads are encrypted with.').addHelpText('after', EXAMPLES);
  command
    .command('keygen')
    .description('Makes a new key, 32 random bytes in base64, and prints it, or writes it into a file.')
    .option('--out <FILE>', 'file for it, which only you may read; none is overwritten')
    .addHelpText('after', KEYGEN_EXAMPLES)
    .action(action(({ out }: { out?: string }) => generate(out, cli)));
  const exporting = command
    .command('export')
    .description("Takes one tenant's keys out of the workers' file, for a client of that tenant.")
    .requiredOption('--tenant <NAME>', 'whose keys')
    .option('--out <FILE>', 'file for them, which only you may read; none is overwritten');
  addEncryptionKeysFlag(exporting)
    .addHelpText('after', EXPORT_EXAMPLES)
    .action(action((flags: ExportFlags) => exportKeys(flags, cli)));
};

async function generate(out: string | undefined, cli: Cli): Promise<ExitCode> {
  const key = randomBytes(KEY_BYTES).toString('base64');
  if (out === undefined) {
    cli.out.line(key);
    return EXIT.done;
  }
  await writeSecret(out, `${key}\n`, cli);
  cli.err.line(`wrote a key into ${out}; name it in the file of --encryption-keys, and keep a copy`);
  return EXIT.done;
}

async function exportKeys(flags: ExportFlags, cli: Cli): Promise<ExitCode> {
  const { tenant, out } = flags;
  checkTenantFlag(tenant);
  const file = keysFileOf(flags, cli);
  if (file === undefined) throw usageError("the workers' keys are needed; expected --encryption-keys FILE");
  const keys = keysOf(flags, cli).allOf(tenant);
  if (keys.length === 0) {
    throw usageError(`--tenant: ${file} has no key for "${tenant}", and none for all tenants ("*")`, {
      help: 'Without a key, what is sent to the tenant and what it gives is not encrypted.',
    });
  }
  const text = keyFileOf(tenant, keys);
  if (out === undefined) {
    cli.out.line(text.trimEnd());
    return EXIT.done;
  }
  await writeSecret(out, text, cli);
  cli.err.line(
    `wrote ${counted(keys.length, 'key')} of the tenant ${tenant} into ${out}; who has it can read the tenant's payloads`,
  );
  return EXIT.done;
}

/** A file for `--encryption-keys` with the keys of one tenant; JSON is YAML, whatever the names are. */
function keyFileOf(tenant: string, keys: readonly EncryptionKey[]): string {
  const items = keys.map(
    ({ id, secret }) =>
      `  - { id: ${JSON.stringify(id)}, key: ${JSON.stringify(Buffer.from(secret).toString('base64'))} }\n`,
  );
  return `${JSON.stringify(tenant)}:\n${items.join('')}`;
}

/** Writes a new file that only its owner may read. Throws BLW_USAGE. */
async function writeSecret(out: string, text: string, cli: Cli): Promise<void> {
  try {
    // `wx`: a key that is in use is never written over.
    await writeFile(resolve(cli.cwd, out), text, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    throw usageError(`${out}: ${reason}`, { help: 'Name another file; nothing was overwritten.', cause });
  }
}
