import type { Command } from 'commander';
import type { TemporalTarget } from '../worker/temporal-connection';
import { shellWord } from './output';

/** Values of the flags that say where Temporal is. */
export interface ConnectionFlags {
  readonly address?: string;
  readonly namespace?: string;
}

/** Adds `--address` and `--namespace`. */
export function addConnectionFlags(command: Command): Command {
  return command
    .option('--address <HOST:PORT>', 'where Temporal is (env: TEMPORAL_ADDRESS; default: 127.0.0.1:7233)')
    .option('--namespace <NAME>', 'namespace in Temporal (env: TEMPORAL_NAMESPACE; default: default)');
}

export function targetOf({ address, namespace }: ConnectionFlags): TemporalTarget {
  return { address, namespace };
}

/** The flags as they were given, to be put at the end of a command that a person copies. */
export function repeatFlags({ address, namespace }: ConnectionFlags): string {
  return [
    ...(address === undefined ? [] : [` --address ${shellWord(address)}`]),
    ...(namespace === undefined ? [] : [` --namespace ${shellWord(namespace)}`]),
  ].join('');
}
