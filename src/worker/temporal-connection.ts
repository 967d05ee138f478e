import { Client, Connection } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { flowError } from '../dsl/errors';
import { clientDataConverter } from './data-converter';

/** Where Temporal is; what is absent comes from the environment and the profile file. */
export interface TemporalTarget {
  /** `host:port`. */
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  /** True for a server that this process started itself: nothing comes from the environment or the profile file. */
  readonly isOwnServer?: boolean;
  /** Absolute folder of the blob store, where large payloads are; absent: a client can neither read nor send them. */
  readonly blobRoot?: string | undefined;
}

/** Longest time to reach Temporal, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Settings of the connection, the ecosystem's own way: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS and API key variables, and
 * profiles in TOML. Throws BLW_CONFIG where they cannot be read.
 */
export function connectionConfig(target: TemporalTarget): ClientConnectConfig & { namespace: string; address: string } {
  let config: ClientConnectConfig;
  try {
    config = target.isOwnServer === true ? { connectionOptions: {} } : loadClientConnectConfig();
  } catch (cause) {
    throw flowError(
      'BLW_CONFIG',
      `Temporal's configuration: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  const address = target.address ?? config.connectionOptions.address ?? '127.0.0.1:7233';
  const namespace = target.namespace ?? config.namespace ?? 'default';
  return { ...config, connectionOptions: { ...config.connectionOptions, address }, address, namespace };
}

/** Connects a worker. Throws BLW_TEMPORAL_UNREACHABLE. */
export async function connectWorker(
  target: TemporalTarget,
): Promise<{ connection: NativeConnection; namespace: string }> {
  const { connectionOptions, address, namespace } = connectionConfig(target);
  try {
    return { connection: await withDeadline(NativeConnection.connect(connectionOptions)), namespace };
  } catch (cause) {
    throw unreachable(address, cause);
  }
}

/** Connects a client. Throws BLW_TEMPORAL_UNREACHABLE. */
export async function connectClient(
  target: TemporalTarget,
): Promise<{ client: Client; address: string; close(): Promise<void> }> {
  const { connectionOptions, address, namespace } = connectionConfig(target);
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: CONNECT_TIMEOUT_MS });
    const dataConverter = clientDataConverter(target, namespace);
    return { client: new Client({ connection, namespace, dataConverter }), address, close: () => connection.close() };
  } catch (cause) {
    throw unreachable(address, cause);
  }
}

function unreachable(address: string, cause: unknown): Error {
  return flowError(
    'BLW_TEMPORAL_UNREACHABLE',
    `Temporal does not answer at ${address}; start one with "beamline dev", or set TEMPORAL_ADDRESS or --address`,
    { cause },
  );
}

/** The native connection has no timeout of its own. */
async function withDeadline(connecting: Promise<NativeConnection>): Promise<NativeConnection> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)), CONNECT_TIMEOUT_MS);
  });
  try {
    return await Promise.race([connecting, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
