import { CancelledFailure, Context, type Info } from '@temporalio/activity';
import { BLOCK_SPECS } from '../dsl/block-registry';
import { measureJson } from '../dsl/encoded-json';
import { isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { TRY_STEPS } from '../dsl/names';
import { isRecordedBlock } from '../dsl/recorded-blocks';
import { isRepeatable } from '../dsl/repeatable';
import { MAX_PAYLOAD_BYTES, type StepRequest, type StepResult } from '../dsl/step-request';
import type { AnswerTogether, StepsTogether } from '../dsl/steps-together';
import { lostPayloadOf } from '../dsl/undecodable';
import { type ScopedPorts, scopeSecrets } from './access/scoped-ports';
import { AttemptPorts } from './attempt-ports';
import type { BlockContext, BlockExecutor, Ports, StepIdentity } from './block';
import { type BlockFailure, notRetryable } from './block-failure';
import { argumentsDigest } from './cache-digest';
import type { CpuShare } from './cpu-share';
import type { Fence } from './fence';
import { Heartbeat } from './heartbeat';
import type { AttemptGroup, TriedStep } from './in-place/attempt-context';
import type { InPlace, StepAttempt } from './in-place/in-place';
import { localOnly } from './local-only';
import { outcomeUnknown, withUnknownOutcome } from './outcome-unknown';
import type { SecretStore } from './ports/secret-store';
import type { ResultCache } from './result-cache';
import { Mask } from './secrets/mask';
import { resolveSecrets } from './secrets/resolve-secrets';
import { toApplicationFailure } from './step-failure';
import { StepMeter } from './step-meter';
import { createFence } from './temporal-fence';
import { type SpanSink, traceAttempt } from './tracing/trace-attempt';
import { findArgumentError } from './validate-data';

/** Part of the time that is kept back for reporting, and its most in milliseconds. */
const DEADLINE_MARGIN = 0.1;
const MAX_DEADLINE_MARGIN_MS = 500;

/** A step's activity, registered under the block's type. */
export type StepActivity = (request: StepRequest) => Promise<StepResult>;

/** Tries steps that began together, where steps run in place. */
export type TogetherActivity = (steps: StepsTogether) => Promise<AnswerTogether[]>;

/** Makes a step's arguments as its block gets them. */
export type ResolveSecrets = typeof resolveSecrets;

/** Chooses where a step's block runs: on the worker's event loop, or in a process of its own. */
export type BlockRunner = (blockType: string, args: JsonObject, context: BlockContext) => Promise<Json>;

/**
 * Adds something around every step: logs, access, quotas, metrics. The model is a middleware: call `next` once, with what is
 * known of the step by then where that is more, or refuse.
 */
export type StepMiddleware = (
  step: StepIdentity,
  next: (step?: StepIdentity) => Promise<StepResult>,
  running: RunningAttempt,
) => Promise<StepResult>;

/** An attempt of a step, for what is around it. */
export interface RunningAttempt {
  /** Of the activity that it is. */
  readonly info: Info;
  /** Has what the attempt used, once `next` has ended. */
  readonly meter: StepMeter;
  /** What shares a local activity with it. */
  readonly group: AttemptGroup | undefined;
}

/** The activities of a worker: one for each block that is an activity, and one for several in place. */
export function createStepActivities(options: {
  ports: ScopedPorts;
  secrets: SecretStore;
  results: Pick<ResultCache, 'reuse'>;
  runBlock: BlockRunner;
  middleware: readonly StepMiddleware[];
  /** Puts the secrets in; absent: their values. */
  resolve?: ResolveSecrets;
  /** The worker is of the sandbox: its steps are of dry runs, and of nothing else. */
  isSandbox?: boolean;
  /** Absent: nothing is traced. */
  spans?: SpanSink | undefined;
  /** Which of them run in place; absent: none does. */
  inPlace?: Pick<InPlace, 'run' | 'runTogether'> | undefined;
}): Record<string, StepActivity | TogetherActivity> {
  const { inPlace } = options;
  const attempt: StepAttempt = (blockType, request, at) => runStep({ blockType, request, ...at }, options);
  const activities: Record<string, StepActivity | TogetherActivity> = {};
  for (const { type, kind } of BLOCK_SPECS) {
    if (kind !== 'activity') continue;
    activities[type] = (request: StepRequest) =>
      inPlace === undefined
        ? attempt(type, request, { temporal: Context.current() })
        : inPlace.run(type, request, attempt);
  }
  if (inPlace !== undefined)
    activities[TRY_STEPS] = localOnly((_, steps: StepsTogether) => inPlace.runTogether(steps, attempt));
  return activities;
}

async function runStep(
  { blockType, request, temporal, group }: TriedStep,
  {
    ports,
    secrets,
    results,
    runBlock,
    middleware,
    spans,
    resolve = resolveSecrets,
    isSandbox = false,
  }: Parameters<typeof createStepActivities>[0],
): Promise<StepResult> {
  const attempt = temporal.info.attempt + attemptsBefore(request);
  const lost = lostPayloadOf(request);
  if (lost !== undefined) throw toApplicationFailure(notRetryable(lost.code, `arguments: ${lost.detail}`), {});
  if ((request.dryRun !== undefined) !== isSandbox) throw toApplicationFailure(otherMode(isSandbox), {});
  const step: StepIdentity = {
    tenant: request.tenant,
    flowId: temporal.info.workflowExecution?.workflowId ?? '',
    runId: temporal.info.workflowExecution?.runId ?? '',
    flow: request.flow,
    stepId: request.stepId,
    blockType,
    idempotencyKey: request.key,
    ...(request.execution === undefined ? {} : { execution: request.execution }),
    attempt,
    ...(temporal.info.isLocal && request.local !== undefined ? { local: request.local } : {}),
    idempotent: request.idempotent,
    ...(isRecordedBlock(blockType) ? { argumentsDigest: argumentsDigest(request) } : {}),
    ...(request.grant === undefined ? {} : { grant: request.grant }),
    ...(request.quota === undefined ? {} : { claim: request.quota }),
    ...(request.dryRun === undefined ? {} : { dryRun: request.dryRun }),
  };
  const meter = new StepMeter();
  const beat = new Heartbeat(temporal);
  const fence = createFence(temporal, beat);
  const mask = new Mask();
  // Innermost, so that no layer around it sees a secret.
  const execute = async (admitted: StepIdentity): Promise<StepResult> => {
    const { access } = admitted;
    try {
      const vault = { store: scopeSecrets(secrets, access), tenant: request.tenant, mask };
      const args = request.secrets === undefined ? request.with : await resolve(request.with, request.secrets, vault);
      const problem = findArgumentError(blockType, args);
      if (problem !== undefined) throw problem;
      const own = new AttemptPorts(ports.of(access), meter);
      const context = blockContext(admitted, own, temporal, { beat, fence, mask });
      const mayRepeat = isRepeatable({ block: blockType, idempotent: step.idempotent }, args);
      // What is kept has been masked.
      const run = async () => {
        try {
          return mask.json(await meter.run(() => runBlock(blockType, args, context)));
        } catch (error) {
          throw isInterruption(error) && !mayRepeat
            ? outcomeUnknown(`${blockType}: the worker stopped the block (${error.message})`)
            : error;
        }
      };
      const result = { ...(await results.reuse(request, context, run)), attempt };
      const tooLarge = findExcess(result);
      if (tooLarge !== undefined) throw mayRepeat || result.cached ? tooLarge : withUnknownOutcome(tooLarge);
      return result;
    } catch (error) {
      throw mask.error(error);
    }
  };
  const around: RunningAttempt = { info: temporal.info, meter, group };
  const run = middleware.reduceRight<(known: StepIdentity) => Promise<StepResult>>(
    (next, layer) => (known) => layer(known, (more) => next(more ?? known), around),
    execute,
  );
  try {
    const running = { request, blockType, number: attempt, info: temporal.info, mask };
    return await traceAttempt(running, spans, (trace) =>
      run(trace === undefined ? step : { ...step, trace: trace.context }),
    );
  } catch (error) {
    if (error instanceof CancelledFailure) throw error;
    throw toApplicationFailure(error, { attempt });
  } finally {
    beat.stop();
  }
}

/** No flow of ours asks so: what is tried is not done here, and the other way round. */
function otherMode(isSandbox: boolean): BlockFailure {
  const detail = isSandbox
    ? 'the step is live, and this worker only answers steps of dry runs'
    : 'the step is of a dry run, and this worker would really do it';
  return notRetryable('BLW_START_INVALID', detail);
}

/**
 * True where Temporal makes another attempt although the block was told to stop: the worker shuts down and its grace time is over, or
 * an operator pauses or resets the activity. (TypeScript SDK, activity.ts: the message is the reason.)
 */
function isInterruption(error: unknown): error is CancelledFailure {
  return error instanceof CancelledFailure && ['WORKER_SHUTDOWN', 'PAUSED', 'RESET'].includes(error.message);
}

function blockContext(
  step: StepIdentity,
  ports: Ports,
  temporal: Context,
  { beat, fence, mask }: { beat: Heartbeat; fence: Fence; mask: Mask },
): BlockContext {
  const { info } = temporal;
  const lastHeartbeat: unknown = info.heartbeatDetails;
  return {
    step,
    ports,
    signal: temporal.cancellationSignal,
    deadline: deadlineOf(info),
    fence,
    heartbeat: (details) => beat.report(mask.json(details)),
    conceal: (credential) => mask.add(credential),
    lastHeartbeat:
      isJsonObject(lastHeartbeat) && lostPayloadOf(lastHeartbeat) === undefined ? lastHeartbeat : undefined,
  };
}

/**
 * When a block has to be done: before Temporal gives the attempt up (its own limit, or that of all attempts), so that the
 * block's own error arrives and not just a timeout.
 */
function deadlineOf(info: Context['info']): number {
  const now = Date.now();
  const attemptEnds = now + info.startToCloseTimeoutMs;
  const allEnd = info.scheduledTimestampMs + info.scheduleToCloseTimeoutMs;
  const end = info.scheduleToCloseTimeoutMs > 0 ? Math.min(attemptEnds, allEnd) : attemptEnds;
  return end - Math.min(MAX_DEADLINE_MARGIN_MS, Math.max(0, end - now) * DEADLINE_MARGIN);
}

/** Attempts of the step that an earlier activity made, before it had to wait. */
function attemptsBefore({ quota }: StepRequest): number {
  return Number.isInteger(quota?.attempts) ? Math.max(0, quota?.attempts ?? 0) : 0;
}

/** Why a result does not fit into a flow. Measured as a whole, since it is sent like that and encoding it once is enough. */
function findExcess(result: StepResult): BlockFailure | undefined {
  const bytes = measureJson(result) - (JSON.stringify({ ...result, output: null }).length - 'null'.length);
  if (bytes <= MAX_PAYLOAD_BYTES) return undefined;
  return notRetryable(
    'BLW_RESULT_TOO_LARGE',
    `the output has ${bytes} bytes of JSON, at most ${MAX_PAYLOAD_BYTES} fit into a flow; write large data to a blob and pass its path`,
  );
}

/** Runs blocks on the caller's event loop; `cpu` is of that loop. */
export function inProcessRunner(
  findExecutor: (blockType: string) => BlockExecutor | undefined,
  cpu: CpuShare,
): BlockRunner {
  return (blockType, args, context) => {
    const executor = findExecutor(blockType);
    if (executor !== undefined) return cpu.charge(() => executor(args, context));
    return Promise.reject(notRetryable('BLW_BLOCK_UNKNOWN', `there is no block "${blockType}" in this worker`));
  };
}
