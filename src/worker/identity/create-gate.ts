import type { NativeConnection } from '@temporalio/worker';
import type { Gate } from '../../activities/ports/gate';
import { flowError } from '../../dsl/errors';
import type { AuthConfig } from '../config';
import { isOpenToOthers, openToOthers } from '../file-rights';
import type { Logger } from '../logger';
import type { PolicySource } from '../policy/policy';
import { readAuthKeys } from './auth-key';
import { explainKeyFile } from './issuer-keys';
import { isLoopbackAddress } from './loopback-address';
import { createOpenGate } from './open-gate';
import { firstRunFinder } from './run-chains';
import { TokenGate } from './token-gate';

/** Makes the gate once the worker is connected. */
export type MakeGate = (connection: NativeConnection, namespace: string) => Gate;

/**
 * Checks how the worker is to know people, before it connects. Throws BLW_CONFIG where a part is missing, and where everybody on a
 * network could start flows as any tenant; says so in the log where only this machine can.
 */
export async function prepareGate(
  auth: AuthConfig,
  { address, policy, logger }: { address: string; policy: PolicySource; logger: Logger },
): Promise<MakeGate> {
  if (auth.mode === 'none') {
    refuseOpenNetwork(address, auth);
    return () => {
      logger.log('warn', OPEN_WARNING, { temporal: address });
      return createOpenGate(policy);
    };
  }
  const identity = policy.current()?.identity;
  if (identity === undefined) {
    const detail = '--auth jwt: needs --policy FILE with a section `identity`, which says whose tokens are accepted';
    throw flowError('BLW_CONFIG', detail);
  }
  const keys = await readAuthKeys(auth.keyFile);
  if (isOpenToOthers(auth.keyFile)) {
    logger.log('warn', openToOthers('--auth-key'), { file: auth.keyFile });
  }
  const warn = (message: string) => logger.log('warn', message);
  const problem = await explainKeyFile(identity);
  if (problem !== undefined) warn(`identity.jwks: ${problem}; nobody can start a flow or decide until that is mended`);
  return (connection, namespace) =>
    new TokenGate({ keys, namespace, policy, findFirstRun: firstRunFinder(connection, namespace), warn });
}

const OPEN_WARNING =
  'no authentication (--auth none): every program on this machine may start flows as any tenant, and approve in any name';

function refuseOpenNetwork(address: string, { trustsNetwork }: { trustsNetwork: boolean }): void {
  if (trustsNetwork || isLoopbackAddress(address)) return;
  const danger = `everybody who reaches Temporal at ${address} could start flows as any tenant and approve in any name`;
  const advice =
    'use --auth jwt --policy FILE --auth-key FILE (docs/identity.md), or --trust-network yes where only trusted people and programs reach it';
  throw flowError('BLW_CONFIG', `--auth none: ${danger}; ${advice}`);
}
