import { ScopedPorts } from '../activities/access/scoped-ports';
import { HEARTBEAT_INTERVAL_MS } from '../activities/heartbeat';
import { localOnly } from '../activities/local-only';
import { createAnswerStep } from '../activities/sandbox/answer-step';
import { CLOSED_PORTS } from '../activities/sandbox/closed-ports';
import { NO_SECRETS, resolveStandIns } from '../activities/sandbox/stand-ins';
import { createStepActivities } from '../activities/step-activities';
import type { WindowAdmission } from '../dsl/admission';
import { ADMIT_WINDOW, taskQueueOf } from '../dsl/names';
import { workerDataConverter } from './data-converter';
import { createFlowLogSinks } from './flow-log';
import { FlowWorker } from './flow-thread/flow-worker';
import { stepIdentity } from './identity/step-identity';
import { stepAccess } from './policy/step-access';
import { flowActivities, flowOptions, type Pool, type PoolParts, versioning } from './pools';
import { createFlowPlaceSinks } from './quota/flow-admission';
import { createQuotaActivities } from './quota/quota-activities';
import { stepQuota, stepRelease } from './quota/step-quota';
import { stepLog } from './step-log';
import { createTraceSinks } from './tracing/trace-sinks';

/** What the sandbox is made from: nothing by which anything outside could be reached; scripts have an isolation of their own. */
export type SandboxParts = Pick<
  PoolParts,
  | 'config'
  | 'connection'
  | 'namespace'
  | 'identity'
  | 'policy'
  | 'gate'
  | 'keeper'
  | 'catalog'
  | 'payloads'
  | 'keys'
  | 'expressions'
  | 'scripts'
  | 'logger'
>;

/**
 * Makes the pool of the sandbox: flows that are only tried, and all their steps of whatever class. The same checks as for live ones, of
 * identity, scopes, quotas and arguments; then an answer in the place of the block, or the script itself. It has no events, no approvals, no
 * dead letters, no cache and no traces. What scripts used is counted in their tenants' usage, and nothing else.
 */
export async function createSandboxPool(parts: SandboxParts): Promise<Pool> {
  const { config, connection, namespace, identity, gate, keeper, logger } = parts;
  const taskQueue = taskQueueOf(config.queuePrefix, 'sandbox');
  const slots = config.poolSizes.sandbox;
  const place = { mode: 'dry-run', otherQueue: taskQueueOf(config.queuePrefix, 'io') } as const;
  const worker = await FlowWorker.create({
    connection,
    namespace,
    identity,
    taskQueue,
    dataConverter: workerDataConverter(parts.payloads, namespace, parts.keys),
    activities: {
      ...createStepActivities({
        ports: new ScopedPorts(CLOSED_PORTS),
        secrets: NO_SECRETS,
        results: { reuse: async (_, __, run) => ({ output: await run() }) },
        runBlock: createAnswerStep((args, context) => parts.scripts.run(args, context)),
        middleware: [
          stepLog(logger),
          ...(config.auth.mode === 'jwt' ? [stepIdentity(gate)] : []),
          stepRelease(keeper),
          stepAccess(parts.policy, undefined),
          stepQuota(keeper, identity),
        ],
        resolve: resolveStandIns,
        isSandbox: true,
      }),
      ...flowActivities({ ...parts, traces: undefined }, place),
      ...createQuotaActivities(keeper, gate),
      [ADMIT_WINDOW]: localOnly((at, request: WindowAdmission) => gate.admitWindow(request, at)),
    },
    maxConcurrentActivityTaskExecutions: slots,
    maxHeartbeatThrottleInterval: HEARTBEAT_INTERVAL_MS,
    shutdownGraceTime: config.shutdownGraceMs,
    ...flowOptions(config),
    sinks: {
      ...createFlowPlaceSinks(keeper, gate),
      ...createFlowLogSinks(logger),
      ...createTraceSinks(undefined),
    },
    ...versioning(config),
  });
  return { resources: 'sandbox', taskQueue, slots, worker };
}
