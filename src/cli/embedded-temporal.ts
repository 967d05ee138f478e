import { basename, delimiter, dirname } from 'node:path';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import type { TemporalServer } from '../../temporal-dev/server';
import type { TemporalTarget } from '../worker/temporal-connection';
import type { Cli } from './cli';
import { shellWord } from './output';

/** How to connect to a server that this process started: nothing of the user's own Temporal settings has a part in it. */
export function ownTarget({ address, namespace }: TemporalServer): TemporalTarget {
  return { address, namespace, isOwnServer: true };
}

/** What a person writes to call the Temporal CLI: `temporal` where that is on PATH, else the file that we found or made. */
export async function temporalCommand({ env }: Cli): Promise<string> {
  const cli = await findTemporal({ log: () => undefined, canInstall: false, env });
  const isOnPath = (env.PATH ?? '').split(delimiter).includes(dirname(cli)) && /^temporal(\.exe)?$/.test(basename(cli));
  return isOnPath ? 'temporal' : shellWord(cli);
}
