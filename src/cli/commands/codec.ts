import { randomBytes } from 'node:crypto';
import { KEY_BYTES } from '../../activities/payloads/key-ring';
import type { AddCommand } from '../cli';
import { EXIT } from '../exit-codes';

const EXAMPLES = `
Examples:
  $ beamline codec keygen > acme-2026.key

A key file (--encryption-keys) names it:

  acme:
    - { id: acme-2026, key: file:./acme-2026.key }

Whoever has the key can read the tenant's payloads; without it they are lost. Keep a copy where you keep secrets.`;

/** `beamline codec keygen` */
export const addCodec: AddCommand = (command, cli, action) => {
  command.description('Makes keys that payloads are encrypted with.');
  command
    .command('keygen')
    .description('Prints a new key: 32 random bytes in base64.')
    .addHelpText('after', EXAMPLES)
    .action(
      action(async () => {
        cli.out.line(randomBytes(KEY_BYTES).toString('base64'));
        return EXIT.done;
      }),
    );
};
