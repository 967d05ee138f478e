import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { ScopedPorts } from '../activities/access/scoped-ports';
import { createExpressionEngine } from '../activities/expressions/expression-engine';
import { meterPorts } from '../activities/metered-ports';
import { PayloadStore } from '../activities/payloads/payload-store';
import { sweepPayloads } from '../activities/payloads/payload-sweep';
import { accountBlobs } from '../activities/ports/accounted-blob-store';
import type { HttpClient } from '../activities/ports/http-client';
import type { SecretStore } from '../activities/ports/secret-store';
import type { StepCache } from '../activities/ports/step-cache';
import { ResultCache } from '../activities/result-cache';
import type { Isolation } from '../activities/script/isolation';
import { ScriptPool } from '../activities/script/script-pool';
import { tracePorts } from '../activities/tracing/traced-ports';
import { within } from '../activities/within';
import type { PoolName } from '../dsl/block-spec';
import { taskQueueOf } from '../dsl/names';
import type { WorkerConfig } from './config';
import { keyRingOf, type WarnOfFile } from './encryption-keys';
import { prepareGate } from './identity/create-gate';
import { gateFor } from './identity/mode-gate';
import { stepIdentity } from './identity/step-identity';
import { knowAtCallOnly } from './known-at-call';
import type { Logger } from './logger';
import { NamespaceClients } from './namespace-clients';
import { openMessaging } from './nats/open-messaging';
import { openCatalog } from './open-catalog';
import { EXPRESSION_HOST_ENTRY, SCRIPT_ENTRY } from './package-files';
import { openPolicy } from './policy/open-policy';
import { createPool, type Pool, type PoolParts } from './pools';
import { createFlowProbe } from './quota/flow-probe';
import { createOfferSender } from './quota/offer-sender';
import { QuotaKeeper } from './quota/quota-keeper';
import { stepUsage } from './quota/step-quota';
import { readLoad } from './quota/tenant-load';
import { tenantQuotas } from './quota/tenant-quotas';
import { createSandboxPool } from './sandbox-pool';
import { ensureSearchAttributes } from './search-attributes';
import { type RunningWorker, servePools } from './serve-pools';
import { openWorkerStore } from './state/open-state-store';
import { stepLog } from './step-log';
import { SWEEP_EVERY_MS, startSweeping } from './sweeping';
import { logConditions } from './telemetry/condition-log';
import { Conditions, type Part } from './telemetry/conditions';
import type { CoreMetrics } from './telemetry/core-metrics';
import { FlowSurvey } from './telemetry/flow-survey';
import { Health } from './telemetry/health';
import { openTelemetry } from './telemetry/open-telemetry';
import { PartWatch } from './telemetry/part-watch';
import { allQueues, QueueSurvey } from './telemetry/queue-survey';
import { tellIsolation } from './tell-isolation';
import { connectionConfig, connectWorker, type TemporalTarget } from './temporal-connection';
import { createTemporalEvents } from './temporal-events';
import { openTraces } from './tracing/traces';
import { warnOfUnmatched } from './unmatched-settings';
import { openWorld, type World, withoutWorld } from './world';

/** Pools whose steps may be scripts. */
const RUNS_SCRIPTS: ReadonlySet<PoolName> = new Set(['cpu', 'sandbox']);

/** How long a person waits for what the state store says of tenants. */
const STATUS_MS = 2_000;

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
 * `coreMetrics` are those of Temporal's SDK (runtime.ts), which join the worker's. `conditions` are told what does not work.
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
  conditions?: Conditions;
}): Promise<RunningWorker> {
  const { target, logger, workerId } = options;
  const isLive = options.config.pools.some((pool) => pool !== 'sandbox');
  const config = isLive ? options.config : withoutWorld(options.config);
  const { conditions = new Conditions() } = options;
  const releases: (() => Promise<unknown>)[] = [];
  const release = async () => {
    for (const releaseOne of releases.splice(0).reverse()) {
      await releaseOne().catch((error: unknown) => logger.log('error', 'release failed', { error: String(error) }));
    }
  };
  try {
    conditions.use(...usedParts(config));
    logConditions(conditions, logger);
    const { address, namespace } = connectionConfig(target);
    const health = new Health({ id: workerId, address, namespace, conditions });
    const { coreMetrics } = options;
    const telemetry = await openTelemetry({ config, workerId, logger, coreMetrics, conditions, health });
    releases.push(() => telemetry.close());
    const policy = await openPolicy(config.policyFile, logger, (isInForce) =>
      conditions.tell(
        'policy',
        isInForce ? undefined : 'the file was not taken, the policy before is in force: see the log',
      ),
    );
    releases.push(() => policy.close());
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
      conditions,
    });
    if (traces !== undefined) conditions.use('traces');
    releases.push(async () => traces?.close());
    // A worker of the sandbox alone has no world.
    const world = isLive ? await openWorld(config, { ...options, releases }) : undefined;
    const payloads = new PayloadStore({ blobRoot: config.blobRoot, canCreate: true });
    // Made now, so that clients find it; one that cannot be used is told before any flow needs it.
    await payloads.key();
    const expressions = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
    releases.push(() => expressions.close());
    const onIsolation = (isolation: Isolation) => tellIsolation(isolation, config.scripts.isolation, logger);
    const scripts = new ScriptPool({ entry: SCRIPT_ENTRY, ...config.scripts, onIsolation });
    releases.push(() => scripts.close());
    // Told now, not with the first script; only where there are any.
    if (config.pools.some((pool) => RUNS_SCRIPTS.has(pool))) void scripts.isolation();
    health.begins(`it connects to Temporal at ${address}`);
    const { connection } = await connectWorker(target);
    releases.push(() => connection.close());
    knowAtCallOnly(connection);
    await ensureSearchAttributes(connection, namespace);
    const watch = new PartWatch({ connection, blobRoot: config.blobRoot, conditions });
    releases.push(() => watch.close());

    health.begins('it opens its stores and pools');
    const commonGate = telemetry.watchGate(makeGate(connection, namespace));
    const gate = gateFor('live', commonGate);
    const clients = new NamespaceClients(connection, keys);
    const sender = createOfferSender(clients, logger);
    const probe = createFlowProbe(clients);
    const quotasOf = tenantQuotas(policy, config);
    const store = await openWorkerStore(config.stateStore, (error) => {
      logger.log('warn', 'the state store does not answer', { part: 'state_store', error: error.message });
      conditions.degrade('state_store', error.message);
    });
    const keeper = new QuotaKeeper({
      store,
      worker: workerId,
      quotasOf,
      sender,
      probe,
      logger,
      onWait: telemetry.onWait,
      onStore: (problem) => conditions.tell('state_store', problem),
      isStoreOut: conditions.find('state_store') !== undefined,
    });
    releases.push(() => keeper.close());
    const installation = telemetry.showInstallation({
      store,
      worker: workerId,
      policy,
      quotasOf,
      flows: new FlowSurvey({ connection, namespace, taskQueue: taskQueueOf(config.queuePrefix, 'io') }),
      queues: new QueueSurvey({ connection, namespace, pools: allQueues(config.queuePrefix) }),
      isTemporalAway: () => conditions.find('temporal') !== undefined,
      scope: `${namespace}/${config.queuePrefix}`,
    });
    releases.push(() => installation.close());
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
      onNats: (problem) => conditions.tell('nats', problem),
    });
    releases.push(() => messaging.close());

    const shared = {
      config,
      logger,
      connection,
      namespace,
      identity: workerId,
      gate,
      catalog,
      payloads,
      keys,
      expressions,
      scripts,
      policy,
      keeper,
    };
    const liveParts = ({ http, blobs, databases, secrets, stepCache }: World): PoolParts => ({
      ...shared,
      ports: scopedPorts(
        meterPorts({ http, blobs: accountBlobs(blobs, keeper.space), databases }, telemetry.observe),
        traces !== undefined,
      ),
      traces,
      observe: telemetry.observe,
      tellLocal: telemetry.tellLocal,
      secrets,
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
    });
    const live = world === undefined ? undefined : liveParts(world);
    const pools: Pool[] = [];
    for (const name of config.pools) {
      if (name === 'sandbox') pools.push(await createSandboxPool({ ...shared, gate: gateFor('dry-run', commonGate) }));
      else if (live !== undefined) {
        const pool = await createPool(name, live);
        releases.push(async () => pool.processes?.close());
        pools.push(pool);
      }
    }
    const queues = new QueueSurvey({ connection, namespace, pools });
    telemetry.watch({ pools, queues, expressions, scripts });
    const namesOfTenants = () => policy.current()?.tenants.keys() ?? [];
    const loadOfTenants = () => store.run(() => readLoad(namesOfTenants(), quotasOf), { isReading: true });
    health.serve({ pools, queues, watch, readLoad: () => within(STATUS_MS, loadOfTenants()) });
    messaging.start();
    const sweeping = startSweeping(
      [
        {
          name: 'payload store',
          sweep: () => sweepPayloads(payloads.folder, { retentionMs: config.payloadRetentionMs }),
        },
        ...(world === undefined
          ? []
          : [
              { name: 'blob store', sweep: () => world.blobs.sweep({ graceMs: SWEEP_EVERY_MS }) },
              { name: 'step cache', sweep: () => world.stepCache.sweep() },
            ]),
      ],
      logger,
    );
    releases.push(async () => sweeping.end());
    return {
      ...servePools(pools, { id: workerId, release, onDrain: () => health.drain() }),
      ...(telemetry.url === undefined ? {} : { metricsUrl: telemetry.url }),
    };
  } catch (error) {
    await release();
    throw error;
  }
}

function scopedPorts(metered: ReturnType<typeof meterPorts>, isTraced: boolean): ScopedPorts {
  return new ScopedPorts(isTraced ? tracePorts(metered) : metered);
}

/** The parts that the worker does without while they are away. */
function usedParts({ metrics, policyFile, nats }: WorkerConfig): readonly Part[] {
  return [
    ...(['temporal', 'state_store', 'blob_store', 'log'] as const),
    ...(policyFile === undefined ? [] : (['policy'] as const)),
    ...(nats === undefined ? [] : (['nats'] as const)),
    ...(metrics === undefined ? [] : (['metrics'] as const)),
  ];
}
