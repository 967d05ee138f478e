import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { KeyRing } from '../activities/payloads/key-ring';
import { keyRingOf } from '../worker/encryption-keys';
import { DEFAULT_BLOB_ROOT, environmentName } from '../worker/options';
import { connectionConfig, type TemporalTarget } from '../worker/temporal-connection';
import type { Cli } from './cli';
import { printable, shellWord } from './output';

const BLOB_ROOT_VARIABLE = environmentName('blob-root');
const KEYS_VARIABLE = environmentName('encryption-keys');

/** Values of the flags that say where Temporal is. */
export interface ConnectionFlags {
  readonly address?: string;
  readonly namespace?: string;
  /** Only of commands that read or send data of flows. */
  readonly blobRoot?: string;
  /** Likewise. */
  readonly encryptionKeys?: string;
}

/** Adds `--address` and `--namespace`. */
export function addConnectionFlags(command: Command): Command {
  return command
    .option('--address <HOST:PORT>', 'where Temporal is (env: TEMPORAL_ADDRESS; default: 127.0.0.1:7233)')
    .option('--namespace <NAME>', 'namespace in Temporal (env: TEMPORAL_NAMESPACE; default: default)');
}

/** Adds `--encryption-keys`, for commands that send data of flows. */
export function addEncryptionKeysFlag(command: Command): Command {
  return command.option(
    '--encryption-keys <FILE>',
    `keys of tenants, as the workers have them, to read and write what is encrypted (env: ${KEYS_VARIABLE})`,
  );
}

/** The file of {@link addEncryptionKeysFlag}, where one was given. */
export function keysFileOf({ encryptionKeys }: ConnectionFlags, { env }: Pick<Cli, 'env'>): string | undefined {
  // A variable that is set to nothing is how shells and containers take one away.
  return (encryptionKeys ?? env[KEYS_VARIABLE]) || undefined;
}

/** The keys of {@link addEncryptionKeysFlag}. Throws BLW_CONFIG. */
export function keysOf(flags: ConnectionFlags, { env, cwd, err }: Pick<Cli, 'env' | 'cwd' | 'err'>): KeyRing {
  const name = keysFileOf(flags, { env });
  return keyRingOf(name ? resolve(cwd, name) : undefined, env, (message, { file }) =>
    err.line(`${err.style.yellow('warning:')} ${message}: ${printable(file)}`),
  );
}

/** Adds `--blob-root` and `--encryption-keys`, for commands that read or send data of flows of any size. */
export function addDataFlags(command: Command): Command {
  return addBlobRootFlag(addEncryptionKeysFlag(command));
}

/** Adds `--blob-root`. */
export function addBlobRootFlag(command: Command): Command {
  return command.option(
    '--blob-root <DIR>',
    `blob root of the workers, where large payloads are (env: ${BLOB_ROOT_VARIABLE}; default: ${DEFAULT_BLOB_ROOT})`,
  );
}

export function targetOf({ address, namespace }: ConnectionFlags): TemporalTarget {
  return { address, namespace };
}

/** The namespace in Temporal, from wherever it is set. Throws BLW_CONFIG. */
export function namespaceOf(flags: ConnectionFlags): string {
  return connectionConfig(targetOf(flags)).namespace;
}

/** As {@link targetOf}, for commands that have {@link addDataFlags}. Throws BLW_CONFIG. */
export function dataTargetOf(flags: ConnectionFlags, cli: Pick<Cli, 'env' | 'cwd' | 'err'>): TemporalTarget {
  const { env, cwd } = cli;
  // A variable that is set to nothing is how shells and containers take one away.
  const blobRoot = flags.blobRoot ?? (env[BLOB_ROOT_VARIABLE] || DEFAULT_BLOB_ROOT);
  return { ...targetOf(flags), blobRoot: resolve(cwd, blobRoot), keys: keysOf(flags, cli) };
}

/** The flags as they were given, to be put at the end of a command that a person copies. */
export function repeatFlags({ address, namespace, blobRoot, encryptionKeys }: ConnectionFlags): string {
  return [
    ...(address === undefined ? [] : [` --address ${shellWord(address)}`]),
    ...(namespace === undefined ? [] : [` --namespace ${shellWord(namespace)}`]),
    ...(blobRoot === undefined ? [] : [` --blob-root ${shellWord(blobRoot)}`]),
    ...(encryptionKeys === undefined ? [] : [` --encryption-keys ${shellWord(encryptionKeys)}`]),
  ].join('');
}
