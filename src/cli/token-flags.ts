import { resolve } from 'node:path';
import type { Command } from 'commander';
import { decodeUtf8 } from '../dsl/utf8';
import { readSealKey } from '../worker/identity/auth-key';
import { isPlainToken, type SealPurpose, sealToken } from '../worker/identity/sealed-token';
import { environmentName } from '../worker/options';
import type { Cli } from './cli';
import { CommandError, usageError } from './command-error';
import { printable } from './output';
import { readPolicyDocument } from './policy-document';
import { readSource, sourceName } from './read-source';
import { type TokenReaders, tokenWarnings } from './token-warnings';

const TOKEN_VARIABLE = environmentName('token');
const SEAL_KEY_VARIABLE = environmentName('seal-key');
const POLICY_VARIABLE = environmentName('policy');

/** Longest token, in bytes: what can be sealed, and sent, many times over. */
const MAX_TOKEN_BYTES = 32_768;

/** Values of the flags that say who acts. */
export interface TokenFlags {
  readonly tokenFile?: string;
  readonly sealKey?: string;
}

/** Adds `--token-file` and `--seal-key`. */
export function addTokenFlags(command: Command): Command {
  return addTokenFileFlag(command).option(
    '--seal-key <FILE>',
    `the workers' public key, to which the token is encrypted (env: ${SEAL_KEY_VARIABLE})`,
  );
}

/** Adds `--token-file` alone, for commands that send nothing. */
export function addTokenFileFlag(command: Command): Command {
  return command.option(
    '--token-file <FILE>',
    `file with your token, a JWT, or - for standard input (env: ${TOKEN_VARIABLE}, the token itself)`,
  );
}

/** How a person says who decides, in a command to be copied. */
export function deciderHint({ tokenFile }: TokenFlags, { env }: Cli): string {
  return tokenFile === undefined && !env[TOKEN_VARIABLE] ? '--by NAME' : '--token-file FILE';
}

/** Seals the user's token for one purpose. */
export type Seal = (purpose: SealPurpose) => Promise<string>;

/** How the user's token is sealed; undefined where none was given. Throws BLW_USAGE, BLW_CONFIG. */
export async function readSeal(flags: TokenFlags & { readonly tenant?: string }, cli: Cli): Promise<Seal | undefined> {
  const token = await readToken(flags, cli);
  if (token === undefined) return undefined;
  const { tenant } = flags;
  warnOfToken(token, tenant === undefined ? {} : { tenant, tenantClaim: await readTenantClaim(cli) }, cli);
  const file = flags.sealKey ?? (cli.env[SEAL_KEY_VARIABLE] || undefined);
  if (file === undefined) {
    throw usageError(
      'a token needs --seal-key FILE: it is encrypted, since what is sent stays readable in the history',
      {
        help: 'Ask the operator of the workers for their public key, seal-key.json.',
      },
    );
  }
  const key = await readSealKey(resolve(cli.cwd, file));
  return (purpose) => sealToken(token, purpose, key);
}

/** Says why workers will probably refuse the token: they are asked later, maybe much later. */
export function warnOfToken(token: string, readers: TokenReaders, { err }: Cli): void {
  for (const warning of tokenWarnings(token, readers))
    err.line(`${err.style.yellow('warning:')} ${printable(warning)}`);
}

/** The claim that has the tenant, where the workers' policy is at hand; undefined where it is not, or cannot be read here. */
async function readTenantClaim(cli: Cli): Promise<string | undefined> {
  const file = cli.env[POLICY_VARIABLE] || undefined;
  if (file === undefined) return undefined;
  try {
    const { policy } = await readPolicyDocument(resolve(cli.cwd, file), cli);
    return policy?.identity?.claims.tenant;
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

/** The user's token; undefined where none was given. Throws BLW_USAGE, without a word of what is in the file. */
export async function readToken({ tokenFile }: TokenFlags, cli: Cli): Promise<string | undefined> {
  // A variable that is set to nothing is how shells and containers take one away.
  const fromEnv = cli.env[TOKEN_VARIABLE] || undefined;
  if (tokenFile === undefined && fromEnv === undefined) return undefined;
  const source = tokenFile === undefined ? TOKEN_VARIABLE : sourceName(tokenFile);
  const text = tokenFile === undefined ? fromEnv : decodeUtf8(await readSource(tokenFile, cli, MAX_TOKEN_BYTES));
  if (text === undefined || !isPlainToken(text)) {
    throw usageError(`${source}: is not a token, expected a JWT: three parts with dots between them`);
  }
  return text.trim();
}
