import { Client, Connection } from '@temporalio/client';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import type { KeyRing } from '../activities/payloads/key-ring';
import { within } from '../activities/within';
import { flowError, messageOf } from '../dsl/errors';
import { SEARCH_ATTRIBUTES } from '../dsl/names';
import { clientDataConverter } from './data-converter';

/** Where Temporal is; what is absent comes from the environment and the profile file. */
export interface TemporalTarget {
  /** `host:port`. */
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  /** True for a server that this process started itself: nothing comes from the environment or the profile file. */
  readonly isOwnServer?: boolean;
  /** Keys of tenants; absent: a client cannot read what is encrypted, and encrypts nothing. */
  readonly keys?: KeyRing | undefined;
  /** Whose payloads a client sends; absent: the tenant of the workflow that it sends to. */
  readonly tenant?: string | undefined;
  /** False: what it sends is encrypted for every workflow of the tenant; default: for the one that it is sent to. */
  readonly isBound?: boolean | undefined;
  /** Absolute folder of the blob store, where large payloads are; absent: a client can neither read nor send them. */
  readonly blobRoot?: string | undefined;
}

/** Status of gRPC. */
const NOT_FOUND = 5;

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
    throw flowError('BLW_CONFIG', `Temporal's configuration: ${messageOf(cause)}`, { cause });
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
    return { connection: await within(CONNECT_TIMEOUT_MS, NativeConnection.connect(connectionOptions)), namespace };
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
    const { keys, tenant, isBound, blobRoot } = target;
    const findTenant = tenantFinder(connection, namespace);
    const dataConverter = clientDataConverter({ keys, tenant, isBound, blobRoot, findTenant }, namespace);
    return { client: new Client({ connection, namespace, dataConverter }), address, close: () => connection.close() };
  } catch (cause) {
    throw unreachable(address, cause);
  }
}

/** Asks Temporal whose a workflow is, once for each; undefined where it has none, or says nothing. */
function tenantFinder(connection: Connection, namespace: string): (workflowId: string) => Promise<string | undefined> {
  const known = new Map<string, Promise<string | undefined>>();
  const ask = async (workflowId: string): Promise<string | undefined> => {
    const request = { namespace, execution: { workflowId } };
    const described = await connection.workflowService.describeWorkflowExecution(request).catch((error: unknown) => {
      // It is about to be started.
      if ((error as { code?: unknown }).code === NOT_FOUND) return undefined;
      throw error;
    });
    const attributes = described?.workflowExecutionInfo?.searchAttributes?.indexedFields;
    const { data } = attributes?.[SEARCH_ATTRIBUTES.tenant] ?? {};
    const tenant: unknown = data == null ? undefined : JSON.parse(Buffer.from(data).toString('utf8'));
    return typeof tenant === 'string' ? tenant : undefined;
  };
  return (workflowId) => {
    const asked = known.get(workflowId) ?? ask(workflowId);
    known.set(workflowId, asked);
    return asked;
  };
}

function unreachable(address: string, cause: unknown): Error {
  return flowError(
    'BLW_TEMPORAL_UNREACHABLE',
    `Temporal does not answer at ${address}; start one with "beamline dev", or set TEMPORAL_ADDRESS or --address`,
    { cause },
  );
}
