import { cpus } from 'node:os';
import type { NativeConnection, Worker, WorkerOptions } from '@temporalio/worker';
import type { ScopedPorts } from '../activities/access/scoped-ports';
import { createDeadLetterActivities } from '../activities/dead-letter-activities';
import { createEvaluateExpressions } from '../activities/evaluate-expressions';
import { createEventActivities } from '../activities/event-activities';
import type { ExpressionEngine } from '../activities/expressions/expression-engine';
import { HEARTBEAT_INTERVAL_MS } from '../activities/heartbeat';
import { InPlace, type LocalOutcome } from '../activities/in-place/in-place';
import { LOCAL_SLOTS } from '../activities/in-place/step-places';
import { localOnly } from '../activities/local-only';
import type { KeyRing } from '../activities/payloads/key-ring';
import type { PayloadStore } from '../activities/payloads/payload-store';
import { PlannedFlows } from '../activities/planned-flows';
import type { PortObserver } from '../activities/port-observer';
import type { EventPort } from '../activities/ports/events';
import type { Gate } from '../activities/ports/gate';
import type { Outbox } from '../activities/ports/outbox';
import type { SecretStore } from '../activities/ports/secret-store';
import { type FlowPlace, type Preparation, prepareFlow } from '../activities/prepare-flow';
import { type BlockProcessPool, createBlockProcessPool } from '../activities/process/block-process-pool';
import type { ResultCache } from '../activities/result-cache';
import type { ScriptPool } from '../activities/script/script-pool';
import { createStepActivities, type StepMiddleware } from '../activities/step-activities';
import { validateArguments, validateData } from '../activities/validate-data';
import type { DecisionAdmission, ResolutionAdmission, WindowAdmission } from '../dsl/admission';
import type { PoolName, ResourceClass } from '../dsl/block-spec';
import type { Catalog } from '../dsl/catalog/library';
import { messageOf } from '../dsl/errors';
import { isJsonObject, type Json } from '../dsl/json';
import {
  ADMIT_DECISION,
  ADMIT_DEPLOYMENT,
  ADMIT_RESOLUTION,
  ADMIT_WINDOW,
  EVALUATE_EXPRESSIONS,
  PREPARE_FLOW,
  TELL_TIME,
  taskQueueOf,
  VALIDATE_ARGUMENTS,
  VALIDATE_DATA,
} from '../dsl/names';
import type { FlowOwner } from '../dsl/quota';
import type { RunOrigin } from '../dsl/start';
import { blockRunner } from './block-runners';
import type { WorkerConfig } from './config';
import { workerDataConverter } from './data-converter';
import { createFlowLogSinks } from './flow-log';
import { FLOW_CODE_LIMIT, FlowWorker } from './flow-thread/flow-worker';
import type { Logger } from './logger';
import { CHILD_ENTRY, WORKFLOW_BUNDLE } from './package-files';
import type { PolicySource } from './policy/policy';
import { stepAccess } from './policy/step-access';
import { shareOf } from './policy/tenant-share';
import { admitFlow, createFlowPlaceSinks } from './quota/flow-admission';
import { countAskedApproval, createQuotaActivities } from './quota/quota-activities';
import type { QuotaKeeper } from './quota/quota-keeper';
import { SettleGroup } from './quota/settle-together';
import { stepQuota } from './quota/step-quota';
import { tracePreparation } from './tracing/trace-preparation';
import { createTraceSinks } from './tracing/trace-sinks';
import type { Traces } from './tracing/traces';

/** What the pools of a worker are made from. */
export interface PoolParts {
  readonly config: WorkerConfig;
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly identity: string;
  readonly ports: ScopedPorts;
  readonly policy: PolicySource;
  readonly gate: Gate;
  readonly keeper: QuotaKeeper;
  readonly events: EventPort;
  /** What others are to hear. */
  readonly outbox: Outbox;
  /** Where flows are found by name. */
  readonly catalog: Catalog;
  readonly payloads: PayloadStore;
  readonly keys: KeyRing;
  readonly expressions: ExpressionEngine;
  readonly secrets: SecretStore;
  readonly scripts: ScriptPool;
  readonly results: ResultCache;
  /** Told what blocks do through their ports in processes of their own; absent: nobody. */
  readonly observe?: PortObserver | undefined;
  readonly logger: Logger;
  /** Told what became of steps that were tried in place; absent: nobody. */
  readonly tellLocal?: ((blockType: string, outcome: LocalOutcome) => void) | undefined;
  /** Around the check of each step's access. */
  readonly middleware: readonly StepMiddleware[];
  /** Absent: nothing is traced. */
  readonly traces: Traces | undefined;
}

/** A resource class that is served, or the sandbox: its Temporal worker, and the processes that run its blocks. */
export interface Pool {
  readonly resources: PoolName;
  readonly taskQueue: string;
  readonly slots: number;
  readonly worker: Worker;
  /** Absent: it runs no blocks. */
  readonly processes?: BlockProcessPool;
}

/** Processes for SQL on SQLite: it has one writer at a time, more only helps reads. */
const SQLITE_PROCESSES = Math.min(4, Math.max(2, cpus().length));

/** Makes the pool of one class; it polls once its worker runs. */
export async function createPool(resources: ResourceClass, parts: PoolParts): Promise<Pool> {
  const { config, connection, namespace, identity, ports, payloads, secrets, results, gate, keeper } = parts;
  // What is denied is denied at once, and waits for no place.
  const middleware = [...parts.middleware, stepAccess(parts.policy, resources), stepQuota(keeper, identity)];
  const slots = config.poolSizes[resources];
  const taskQueue = taskQueueOf(config.queuePrefix, resources);
  const processes = createBlockProcessPool({
    entry: CHILD_ENTRY,
    size: resources === 'io' ? SQLITE_PROCESSES : slots,
    maxMemoryMb: config.maxMemoryMb,
    space: keeper.space,
    observe: parts.observe,
    init: {
      databases: config.databases,
      ledger: config.ledger,
      blobRoot: config.blobRoot,
      allowHosts: config.allowHosts,
    },
  });
  const runBlock = blockRunner(resources, { config, processes, scripts: parts.scripts });
  // Flows run on the io pool: what runs in place runs there.
  const choosesItself = config.dispatch === 'auto';
  const warn = (error: unknown): void =>
    parts.logger.log('error', 'what follows a step could not be foreseen', { error: messageOf(error) });
  const groupOf = (tenant: string) => new SettleGroup(keeper, tenant);
  const inPlace =
    resources === 'io' ? new InPlace({ slots, choosesItself, tell: parts.tellLocal, groupOf, warn }) : undefined;
  const worker = await FlowWorker.create({
    connection,
    namespace,
    identity,
    taskQueue,
    dataConverter: workerDataConverter(payloads, namespace, parts.keys),
    activities: {
      ...createStepActivities({ ports, secrets, results, runBlock, middleware, spans: parts.traces, inPlace }),
      ...(inPlace === undefined
        ? {}
        : { ...flowActivities(parts, livePlace(config, inPlace)), ...gateActivities(gate) }),
      ...(resources === 'io' ? createQuotaActivities(keeper, gate) : {}),
      ...(resources === 'io' ? createEventActivities(parts.events, gate) : {}),
      ...(resources === 'io' ? createDeadLetterActivities(parts.outbox, gate, parts.keys) : {}),
    },
    maxConcurrentActivityTaskExecutions: slots,
    maxConcurrentLocalActivityExecutions: LOCAL_SLOTS,
    // A cancellation comes with the answer to a heartbeat; the default would hold these back for up to a minute.
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL_MS,
    shutdownGraceTime: config.shutdownGraceMs,
    ...(resources === 'io'
      ? {
          ...flowOptions(config),
          sinks: {
            ...createFlowPlaceSinks(keeper, gate),
            ...createFlowLogSinks(parts.logger),
            ...createTraceSinks(parts.traces),
          },
        }
      : {}),
    ...versioning(config),
  });
  return { resources, taskQueue, slots, worker, processes };
}

function livePlace({ queuePrefix }: WorkerConfig, inPlace: InPlace): FlowPlace {
  return {
    mode: 'live',
    otherQueue: taskQueueOf(queuePrefix, 'sandbox'),
    isQuick: (...step) => inPlace.mayTry(...step),
  };
}

/** Flows are coordinated on the io queue, those that are only tried on that of the sandbox: `place` says which. */
export function flowActivities(
  {
    config,
    expressions,
    catalog,
    gate,
    policy,
    keeper,
    traces,
  }: Pick<PoolParts, 'config' | 'expressions' | 'catalog' | 'gate' | 'policy' | 'keeper' | 'traces'>,
  place: FlowPlace,
) {
  const isLive = place.mode === 'live';
  const evaluate = createEvaluateExpressions(expressions);
  const plannedFlows = new PlannedFlows();
  return {
    [PREPARE_FLOW]: localOnly(async (at, value: unknown, origin: RunOrigin, traceHeader?: unknown) => {
      const admit: NonNullable<Preparation['admit']> = async (start, sent) => {
        const admission = await gate.admitStart(start, sent, { ...at, ...origin });
        const share = shareOf(policy, admission.tenant);
        return { ...admission, ...(share === undefined ? {} : { share }) };
      };
      const prepared = await tracePreparation({ traces, header: traceHeader, at }, () =>
        prepareFlow(value, { engine: expressions, catalog, admit, place, plannedFlows }),
      );
      const flow = { firstRunId: origin.firstRunId, isAwaited: isAwaited(value, origin), at };
      const published = config.nats === undefined || !isLive ? {} : { publishesDeadLetters: true as const };
      return { ...prepared, ...published, ...(await admitFlow(keeper, prepared.tenant, flow)) };
    }),
    [VALIDATE_DATA]: localOnly((_, request: Parameters<typeof validateData>[0]) => validateData(request)),
    [VALIDATE_ARGUMENTS]: localOnly(
      async (at, request: Parameters<typeof validateArguments>[0] & Partial<FlowOwner>) => {
        await validateArguments(request);
        const { tenant, grant } = request;
        if (tenant === undefined) return;
        await gate.recognize({ tenant, ...(grant === undefined ? {} : { grant }) }, at);
        if (isLive) await countAskedApproval(keeper, tenant, at);
      },
    ),
    [EVALUATE_EXPRESSIONS]: localOnly((_, request: Parameters<typeof evaluate>[0]) => evaluate(request)),
    [TELL_TIME]: localOnly(async () => Date.now()),
  };
}

/** Only flows say so of those that they run; said by hand it is of no use without a parent. */
function isAwaited(start: unknown, { parent }: RunOrigin): boolean {
  return parent !== undefined && isJsonObject(start) && start.awaited === true;
}

function gateActivities(gate: Gate) {
  return {
    [ADMIT_WINDOW]: localOnly((at, request: WindowAdmission) => gate.admitWindow(request, at)),
    [ADMIT_DECISION]: localOnly((at, request: DecisionAdmission) => gate.admitDecision(request, at)),
    [ADMIT_RESOLUTION]: localOnly((at, request: ResolutionAdmission) => gate.admitResolution(request, at)),
    [ADMIT_DEPLOYMENT]: localOnly((at, request: Json, origin: RunOrigin) =>
      gate.admitDeployment(request, { ...at, ...origin }),
    ),
  };
}

/**
 * A flow stays on the build that it began on, pinned: its steps run on workers of that build too, on all queues. (Temporal docs,
 * "Worker Versioning")
 */
export function versioning({ deployment }: WorkerConfig): Partial<WorkerOptions> {
  if (deployment === undefined) return {};
  return {
    workerDeploymentOptions: { version: deployment, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' },
  };
}

/**
 * Workflow tasks at once: the SDK's default. A task also needs one of the `maxCachedFlows` places, and a poll holds the place of the
 * task that it waits for. The SDK shares places between the polls of the normal queue and those of the sticky one by this number, so
 * that with more than there are places the polls of one queue take them all, and the other is served only when they time out: with 2
 * places a flow that continued as new stood still for 60 s, measured (SDK 1.23).
 */
const MAX_WORKFLOW_TASKS = 40;

export function flowOptions(config: WorkerConfig): Partial<WorkerOptions> {
  return {
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    maxCachedWorkflows: config.maxCachedFlows,
    maxConcurrentWorkflowTaskExecutions: Math.min(MAX_WORKFLOW_TASKS, config.maxCachedFlows),
    reuseV8Context: true,
    ...FLOW_CODE_LIMIT,
  };
}
