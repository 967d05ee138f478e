import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { ScopedPorts } from '../activities/access/scoped-ports';
import { createExpressionEngine } from '../activities/expressions/expression-engine';
import { meterPorts } from '../activities/metered-ports';
import { PayloadStore } from '../activities/payloads/payload-store';
import { sweepPayloads } from '../activities/payloads/payload-sweep';
import { accountBlobs } from '../activities/ports/accounted-blob-store';
import { createSqlDatabases } from '../activities/ports/configured-databases';
import { createConfiguredSecrets } from '../activities/ports/configured-secrets';
import { createFileBlobStore } from '../activities/ports/file-blob-store';
import { FileCatalog } from '../activities/ports/file-catalog';
import { createFileStepCache } from '../activities/ports/file-step-cache';
import type { HttpClient } from '../activities/ports/http-client';
import { createHttpClients } from '../activities/ports/http-clients';
import { NO_CATALOG } from '../activities/ports/no-catalog';
import { SecretFolder } from '../activities/ports/secret-folder';
import type { SecretStore } from '../activities/ports/secret-store';
import type { StepCache } from '../activities/ports/step-cache';
import { ResultCache } from '../activities/result-cache';
import { tracePorts } from '../activities/tracing/traced-ports';
import type { Catalog } from '../dsl/catalog/library';
import { FlowError, flowError } from '../dsl/errors';
import type { WorkerConfig } from './config';
import { keyRingOf, type WarnOfFile } from './encryption-keys';
import { prepareGate } from './identity/create-gate';
import { stepIdentity } from './identity/step-identity';
import type { Logger } from './logger';
import { NamespaceClients } from './namespace-clients';
import { openMessaging } from './nats/open-messaging';
import { EXPRESSION_HOST_ENTRY } from './package-files';
import { openPolicy } from './policy/open-policy';
import { createPool, type Pool } from './pools';
import { createFlowProbe } from './quota/flow-probe';
import { createOfferSender } from './quota/offer-sender';
import { QuotaKeeper } from './quota/quota-keeper';
import { stepUsage } from './quota/step-quota';
import { tenantQuotas } from './quota/tenant-quotas';
import { ensureSearchAttributes } from './search-attributes';
import { openWorkerStore } from './state/open-state-store';
import { stepLog } from './step-log';
import type { CoreMetrics } from './telemetry/core-metrics';
import { openTelemetry } from './telemetry/open-telemetry';
import { QueueSurvey } from './telemetry/queue-survey';
import { connectionConfig, connectWorker, type TemporalTarget } from './temporal-connection';
import { createTemporalEvents } from './temporal-events';
import { openTraces } from './tracing/traces';
import { warnOfUnmatched } from './unmatched-settings';

/** How often content without a blob is looked for, and how old it must be. */
const SWEEP_EVERY_MS = 3_600_000;

/** A worker that serves its pools. */
export interface RunningWorker {
  readonly id: string;
  readonly pools: readonly Pick<Pool, 'resources' | 'taskQueue' | 'slots'>[];
  /** Where its metrics and health are served; absent: nowhere. */
  readonly metricsUrl?: string;
  /** Resolves when all pools have stopped; rejects where one failed. */
  readonly stopped: Promise<void>;
  /** Takes no more work, lets running steps finish within the grace time, then resolves. May be called again. */
  stop(): Promise<void>;
}

/** Name of a worker in logs and in Temporal's UI. */
export function newWorkerId(): string {
  return `${process.pid}@${hostname()}-${randomUUID().slice(0, 8)}`;
}

/**
 * Starts a worker. Throws BLW_TEMPORAL_UNREACHABLE, BLW_CONFIG, BLW_POLICY_INVALID; whatever was acquired by then is released.
 *
 * `wrapHttp` puts a client of the caller's between the blocks and the guarded one. It is for code that embeds a worker and
 * has hosts answered by stand-ins, as the conformance tests do: a setting of deployments could turn calls away from where
 * the flow's author sends them. Steps in child processes have clients of their own and are not reached by it.
 *
 * `wrapSecrets` puts another store of secrets, such as a vault, before or in the place of the one that is configured.
 *
 * `stepCache` takes the place of the folder below the blob root in which results of steps are kept.
 *
 * `coreMetrics` are those of Temporal's SDK (runtime.ts), which join the worker's.
 */
export async function startWorker(options: {
  config: WorkerConfig;
  target: TemporalTarget;
  logger: Logger;
  workerId: string;
  wrapHttp?: (client: HttpClient) => HttpClient;
  wrapSecrets?: (store: SecretStore) => SecretStore;
  stepCache?: StepCache;
  coreMetrics?: CoreMetrics | undefined;
}): Promise<RunningWorker> {
  const { config, target, logger, workerId, wrapHttp, wrapSecrets = (store) => store } = options;
  const releases: (() => Promise<unknown>)[] = [];
  const release = async () => {
    for (const releaseOne of releases.splice(0).reverse()) {
      await releaseOne().catch((error: unknown) => logger.log('error', 'release failed', { error: String(error) }));
    }
  };
  try {
    const telemetry = await openTelemetry({ config, workerId, logger, coreMetrics: options.coreMetrics });
    releases.push(() => telemetry.close());
    const policy = await openPolicy(config.policyFile, logger);
    releases.push(() => policy.close());
    const { address } = connectionConfig(target);
    const makeGate = await prepareGate(config.auth, { address, policy, logger });
    const catalog = await openCatalog(config.catalog);
    const warnOfFile: WarnOfFile = (...line) => logger.log('warn', ...line);
    const keys = keyRingOf(config.encryptionKeys, process.env, warnOfFile);
    warnOfUnmatched(config, { policy: policy.current(), keys }, logger);
    const traces = openTraces({
      env: process.env,
      service: 'beamline-worker',
      workerId,
      hidesDataOf: (tenant) => keys.encrypting(tenant) !== undefined,
      logger,
    });
    releases.push(async () => traces?.close());
    const http = createHttpClients({ allowHosts: config.allowHosts }, wrapHttp);
    releases.push(() => http.close());
    const databases = createSqlDatabases(config.databases, config.ledger);
    releases.push(() => databases.close());
    const secretFolder = config.secretFolder === undefined ? undefined : new SecretFolder(config.secretFolder);
    const secrets = wrapSecrets(createConfiguredSecrets(config.secrets, process.env, secretFolder));
    const blobs = await createFileBlobStore({ root: config.blobRoot });
    releases.push(async () => blobs.close());
    const payloads = new PayloadStore({ blobRoot: config.blobRoot, canCreate: true });
    // Made now, so that clients find it; one that cannot be used is told before any flow needs it.
    await payloads.key();
    const { stepCache = createFileStepCache({ root: config.blobRoot }) } = options;
    const expressions = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
    releases.push(() => expressions.close());
    const { connection, namespace } = await connectWorker(target);
    releases.push(() => connection.close());
    await ensureSearchAttributes(connection, namespace);

    const gate = telemetry.watchGate(makeGate(connection, namespace));
    const clients = new NamespaceClients(connection, keys);
    const sender = createOfferSender(clients, logger);
    const probe = createFlowProbe(clients);
    const quotasOf = tenantQuotas(policy, config);
    const store = await openWorkerStore(config.stateStore, (error) =>
      logger.log('warn', 'the state store does not answer', { error: error.message }),
    );
    const keeper = new QuotaKeeper({
      store,
      worker: workerId,
      quotasOf,
      sender,
      probe,
      logger,
      onWait: telemetry.onWait,
    });
    releases.push(() => keeper.close());
    const messaging = await openMessaging({
      config,
      connection,
      namespace,
      worker: workerId,
      store,
      keys,
      policy,
      events: createTemporalEvents((tenant) => clients.of(namespace, tenant)),
      logger,
    });
    releases.push(() => messaging.close());

    const metered = meterPorts({ http, blobs: accountBlobs(blobs, keeper.space), databases }, telemetry.observe);
    const parts = {
      config,
      connection,
      namespace,
      identity: workerId,
      ports: new ScopedPorts(traces === undefined ? metered : tracePorts(metered)),
      traces,
      observe: telemetry.observe,
      gate,
      catalog,
      payloads,
      keys,
      expressions,
      secrets,
      policy,
      keeper,
      events: messaging.events,
      outbox: messaging.outbox,
      results: new ResultCache(stepCache, (...line) => logger.log(...line)),
      // Whose a step is, is known once its grant has been checked.
      middleware: [
        stepLog(logger),
        ...telemetry.middleware,
        ...(config.auth.mode === 'jwt' ? [stepIdentity(gate)] : []),
        stepUsage(keeper),
      ],
    };
    const pools: Pool[] = [];
    for (const resources of config.pools) {
      const pool = await createPool(resources, parts);
      releases.push(() => pool.processes.close());
      pools.push(pool);
    }
    telemetry.watch({ pools, queues: new QueueSurvey({ connection, namespace, pools }), expressions });
    messaging.start();
    const sweeping = setInterval(() => {
      sweepPayloads(payloads.folder, { retentionMs: config.payloadRetentionMs }).then(
        ({ removed, freedBytes }) => logger.log('debug', 'payload store swept', { removed, freed_bytes: freedBytes }),
        (error: unknown) => logger.log('warn', 'payload store could not be swept', { error: String(error) }),
      );
      blobs.sweep({ graceMs: SWEEP_EVERY_MS }).then(
        ({ removed, freedBytes }) => logger.log('debug', 'blob store swept', { removed, freed_bytes: freedBytes }),
        (error: unknown) => logger.log('warn', 'blob store could not be swept', { error: String(error) }),
      );
      stepCache.sweep().then(
        ({ removed, freedBytes }) => logger.log('debug', 'step cache swept', { removed, freed_bytes: freedBytes }),
        (error: unknown) => logger.log('warn', 'step cache could not be swept', { error: String(error) }),
      );
    }, SWEEP_EVERY_MS);
    releases.push(async () => clearInterval(sweeping));
    return {
      ...serve(pools, workerId, release),
      ...(telemetry.url === undefined ? {} : { metricsUrl: telemetry.url }),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** The worker's catalog. Throws BLW_CONFIG where its folder cannot be read: better at the start than with each flow. */
async function openCatalog(folder: string | undefined): Promise<Catalog> {
  if (folder === undefined) return NO_CATALOG;
  const catalog = new FileCatalog(folder);
  try {
    await catalog.read();
  } catch (cause) {
    if (cause instanceof FlowError) throw flowError('BLW_CONFIG', `--catalog: ${cause.message}`, { cause });
    throw cause;
  }
  return catalog;
}

function serve(pools: readonly Pool[], id: string, release: () => Promise<void>): RunningWorker {
  const shutDown = () => {
    for (const { worker } of pools) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const runs = pools.map(async ({ worker }) => {
    try {
      await worker.run();
    } finally {
      // One pool that fails takes the others down in good order: half a worker would look alive.
      shutDown();
    }
  });
  const stopped = Promise.allSettled(runs).then(async (results) => {
    await release();
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  });
  // Whoever starts a worker waits for `stopped` sooner or later; until then a failure must not end the process.
  stopped.catch(() => undefined);
  return {
    id,
    pools,
    stopped,
    stop: async () => {
      shutDown();
      await stopped;
    },
  };
}
