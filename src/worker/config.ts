import { resolve } from 'node:path';
import type { DatabaseConfig } from '../activities/ports/configured-databases';
import { parseDatabaseFlag } from '../activities/ports/configured-databases';
import { parseSecretFlag, type SecretConfig } from '../activities/ports/configured-secrets';
import type { LedgerRules } from '../activities/ports/sql-ledger';
import { ISOLATION_MODES, type IsolationMode } from '../activities/script/isolation';
import { POOL_NAMES, type PoolName } from '../dsl/block-spec';
import { flowError } from '../dsl/errors';
import { type NatsConfig, parseNats } from './nats/nats-config';
import type { OptionName, OptionValues } from './options';
import { parseStateStore } from './state/open-state-store';
import type { StateStoreConfig } from './state/state-store';
import { type MetricsEndpoint, parseMetricsEndpoint } from './telemetry/metrics-endpoint';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** Which build of which deployment a worker is (Temporal docs, "Worker Versioning"). */
export interface WorkerDeployment {
  readonly deploymentName: string;
  readonly buildId: string;
}

/** How a worker knows who starts flows and decides. */
export type AuthConfig =
  /** Not at all. `trustsNetwork`: also where Temporal is on another machine. */
  | { readonly mode: 'none'; readonly trustsNetwork: boolean }
  /** By tokens; the file is absolute. */
  | { readonly mode: 'jwt'; readonly keyFile: string };

/** Settings of a worker, read and checked. */
export interface WorkerConfig {
  readonly pools: readonly PoolName[];
  readonly auth: AuthConfig;
  readonly poolSizes: Readonly<Record<PoolName, number>>;
  readonly queuePrefix: string;
  /** Of one process that runs steps. */
  readonly maxMemoryMb: number;
  /** What runs scripts: most memory of one, and what isolates it. */
  readonly scripts: { readonly memoryMb: number; readonly isolation: IsolationMode };
  /** Folder of flows and functions, absolute; absent: the worker has none. */
  readonly catalog?: string;
  /** Worker versioning; absent: off. */
  readonly deployment?: WorkerDeployment;
  /** Absolute. */
  readonly blobRoot: string;
  /** Absent: large payloads are kept. */
  readonly payloadRetentionMs?: number;
  /** Absolute; absent: nothing is encrypted. */
  readonly encryptionKeys?: string;
  readonly databases: readonly DatabaseConfig[];
  readonly ledger: LedgerRules;
  readonly stateStore: StateStoreConfig;
  /** Of a tenant's steps in a day; absent: no limit. */
  readonly maxCpuTimeMs?: number;
  readonly secrets: readonly SecretConfig[];
  /** Absolute; absent: there is none. */
  readonly secretFolder?: string;
  /** `HOST[:PORT]`; checked where the HTTP client is made. */
  readonly allowHosts: readonly string[];
  /** Absolute; absent: everything is allowed. */
  readonly policyFile?: string;
  /** Absent: events and dead letters stay inside of Temporal. */
  readonly nats?: NatsConfig;
  /** Absent: no metrics, no health. */
  readonly metrics?: MetricsEndpoint;
  readonly shutdownGraceMs: number;
  readonly maxCachedFlows: number;
  /** Where steps run of which their author says nothing: in place where that is as safe and they are quick, or in the queue. */
  readonly dispatch: 'auto' | 'queue';
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'pretty';
}

const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error'];

/** Reads settings; relative paths are taken from `cwd`. Throws BLW_CONFIG: which setting, got, expected. */
export function parseWorkerConfig(values: OptionValues, cwd: string): WorkerConfig {
  const text = (name: OptionName): string => String(values[name] ?? '');
  const list = (name: OptionName): readonly string[] => [values[name] ?? []].flat();
  const integer = (name: OptionName, min: number, max: number): number => {
    const value = Number(text(name));
    if (text(name).trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw flowError('BLW_CONFIG', `--${name}: got "${text(name)}", expected a whole number from ${min} to ${max}`);
  };
  const oneOf = <T extends string>(name: OptionName, allowed: readonly T[]): T => {
    const value = allowed.find((candidate) => candidate === text(name));
    if (value !== undefined) return value;
    throw flowError('BLW_CONFIG', `--${name}: got "${text(name)}", expected ${allowed.join(', ')}`);
  };
  return {
    pools: parsePools(text('pools')),
    auth: parseAuth({
      mode: oneOf('auth', ['none', 'jwt']),
      keyFile: text('auth-key') === '' ? undefined : resolve(cwd, text('auth-key')),
      trustsNetwork: oneOf('trust-network', ['yes', 'no']) === 'yes',
    }),
    poolSizes: {
      io: integer('io-pool-size', 1, 1_000),
      cpu: integer('cpu-pool-size', 1, 1_000),
      gpu: integer('gpu-pool-size', 1, 1_000),
      sandbox: integer('sandbox-pool-size', 1, 1_000),
    },
    queuePrefix: parsePrefix(text('queue-prefix')),
    maxMemoryMb: integer('max-memory-mb', 64, 1_048_576),
    scripts: {
      memoryMb: integer('script-memory-mb', 16, 2_048),
      isolation: oneOf('script-isolation', ISOLATION_MODES),
    },
    ...(text('catalog') === '' ? {} : { catalog: resolve(cwd, text('catalog')) }),
    ...parseDeployment(text('build-id'), text('deployment-name')),
    blobRoot: resolve(cwd, text('blob-root')),
    ...(text('payload-retention-days') === ''
      ? {}
      : { payloadRetentionMs: integer('payload-retention-days', 1, 36_500) * 86_400_000 }),
    ...(text('encryption-keys') === '' ? {} : { encryptionKeys: resolve(cwd, text('encryption-keys')) }),
    ...(text('secret-folder') === '' ? {} : { secretFolder: resolve(cwd, text('secret-folder')) }),
    databases: list('database').map((flag) => parseDatabaseFlag(flag, cwd)),
    ledger: { retentionMs: integer('ledger-retention-days', 1, 36_500) * 86_400_000 },
    stateStore: parseStateStore(text('state-store'), { cwd, blobRoot: resolve(cwd, text('blob-root')) }),
    ...(text('max-cpu-time-ms') === '' ? {} : { maxCpuTimeMs: integer('max-cpu-time-ms', 1, Number.MAX_SAFE_INTEGER) }),
    secrets: list('secret').map((flag) => parseSecretFlag(flag, cwd)),
    allowHosts: list('allow-host'),
    ...parsePolicyFile(values.policy, cwd),
    ...parseNats({ url: text('nats-url'), credentials: text('nats-credentials'), ca: text('nats-ca') }, cwd),
    ...(text('prometheus-endpoint') === '' ? {} : { metrics: parseMetricsEndpoint(text('prometheus-endpoint')) }),
    shutdownGraceMs: integer('shutdown-grace', 0, 86_400) * 1_000,
    // With 2 or 3 the SDK's polls hold the places that queries need: they time out. Measured; with 5 they do not.
    maxCachedFlows: integer('max-cached-flows', 5, 100_000),
    dispatch: oneOf('dispatch', ['auto', 'queue']),
    logLevel: oneOf('log-level', LOG_LEVELS),
    logFormat: oneOf('log-format', ['json', 'pretty']),
  };
}

function parseAuth(given: { mode: 'none' | 'jwt'; keyFile: string | undefined; trustsNetwork: boolean }): AuthConfig {
  const { mode, keyFile, trustsNetwork } = given;
  if (mode === 'none') {
    if (keyFile === undefined) return { mode, trustsNetwork };
    throw flowError('BLW_CONFIG', '--auth-key: counts with --auth jwt only; add that, or leave --auth-key out');
  }
  if (keyFile !== undefined) return { mode, keyFile };
  throw flowError('BLW_CONFIG', '--auth jwt: needs --auth-key FILE; make one with `beamline token keygen --out DIR`');
}

/** Empty text is refused: `--policy "$FILE"` without a FILE must not be a worker that allows everything. */
function parsePolicyFile(value: OptionValues['policy'], cwd: string): { policyFile?: string } {
  if (value === undefined) return {};
  if (typeof value === 'string' && value.trim() !== '') return { policyFile: resolve(cwd, value) };
  throw flowError('BLW_CONFIG', `--policy: got ${JSON.stringify(value)}, expected the name of a file`);
}

/** Temporal separates the two by a dot, so that the name may have none. */
function parseDeployment(buildId: string, deploymentName: string): { deployment?: WorkerDeployment } {
  if (buildId === '') return {};
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/.test(deploymentName)) {
    throw flowError('BLW_CONFIG', `--deployment-name: got "${deploymentName}", expected letters, digits, "_" or "-"`);
  }
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(buildId)) return { deployment: { deploymentName, buildId } };
  throw flowError('BLW_CONFIG', `--build-id: got "${buildId}", expected letters, digits, ".", "_", "+" or "-"`);
}

function parsePools(text: string): PoolName[] {
  const names = text.split(',').map((name) => name.trim());
  const pools = POOL_NAMES.filter((name) => names.includes(name));
  const unknown = names.find((name) => !(POOL_NAMES as readonly string[]).includes(name));
  if (unknown === undefined && pools.length === names.length) return pools;
  throw flowError('BLW_CONFIG', `--pools: got "${text}", expected one or more of ${POOL_NAMES.join(',')}, each once`);
}

function parsePrefix(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(text)) return text;
  throw flowError('BLW_CONFIG', `--queue-prefix: got "${text}", expected letters, digits, ".", "_" or "-"`);
}
