import {
  ActivityCancellationType,
  ActivityFailure,
  type ActivityOptions,
  scheduleActivity,
} from '@temporalio/workflow';
import { flowError } from '../../dsl/errors';
import { type BatchValues, requireObject } from '../../dsl/expressions/batch';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { siblingTaskQueue } from '../../dsl/names';
import type { CallPlan } from '../../dsl/planning/plan';
import { isRepeatable } from '../../dsl/repeatable';
import { idempotencyKey, type StepRequest, type StepResult } from '../../dsl/step-request';
import { undecodableReason } from '../../dsl/undecodable';
import { countFailure } from '../count-failure';
import { type Routine, waitFor } from '../drive';
import { attemptsOf, isLostAttempt, isUnreported, toFlowError, unknownOutcome } from '../failures';
import type { FlowRun } from '../flow-run';
import { readable } from '../lost-payload';
import { StepTurns } from '../quota/step-turns';
import { withoutPlaceholders } from '../step-secrets';
import type { TaskFrame, TaskResult } from '../task-frame';
import { durationOf } from '../timeouts';

/** Longest summary that Temporal keeps is 200 bytes; a character may take up to 4. */
const MAX_SUMMARY_LENGTH = 100;

/** Runs a block as one Temporal activity on the task queue of its resource class. */
export function* executeCall(task: CallPlan, frame: TaskFrame): Routine<TaskResult> {
  const turns = new StepTurns(frame);
  yield* turns.begin();
  try {
    yield* turns.resume();
    for (;;) {
      const sentAt = Date.now();
      const result = yield* sendOut(task, frame, turns);
      if (result.waiting === undefined) return { output: result.output };
      yield* turns.wait({ ...result, waiting: result.waiting }, sentAt);
    }
  } catch (error) {
    yield* turns.giveUp(error);
    throw error;
  } finally {
    turns.end();
  }
}

/** Runs the activity once: to the step's end, or to the news that its tenant is over a quota. */
function* sendOut(task: CallPlan, frame: TaskFrame, turns: StepTurns): Routine<StepResult> {
  const { run, scope, values, step, generation, execution } = frame;
  const args = requireObject(values, 'with');
  const { secrets } = turns;
  const request: StepRequest = {
    tenant: run.tenant,
    flow: run.plan.flow,
    stepId: task.path,
    key: idempotencyKey({
      tenant: run.tenant,
      flowId: run.id,
      stepPath: task.path,
      iteration: scope.iteration,
      generation,
    }),
    ...(run.prepared.namesExecutions === true && execution !== undefined ? { execution } : {}),
    idempotent: task.idempotent,
    with: args,
    ...(secrets === undefined ? {} : { secrets }),
    ...cacheOf(task, values),
    ...run.proof,
    quota: { ...turns.claim, ...linePriority(task, run) },
    ...traceOf(frame),
    ...(run.rehearsal === undefined ? {} : { dryRun: run.rehearsal.requestOf(task, scope) }),
  };
  const options = activityOptions(task, frame, args, turns);
  yield* run.dispatch.enter(request);
  try {
    run.waits();
    const answer = yield* waitFor(scheduleActivity<StepResult>(task.block, [request], options));
    const result = readable(answer, "the step's result");
    const unreadable = undecodableReason(result);
    if (unreadable !== undefined)
      throw flowError('BLW_BLOCK_FAILED', `the step's result cannot be read: ${unreadable}`);
    run.quota.limitTo(result.quota?.concurrentSteps);
    step.ranOn(result.worker);
    if (result.waiting !== undefined) return result;
    turns.admitted();
    step.update({ attempts: result.attempt, ...(result.cached === true ? { cached: true as const } : {}) });
    return result;
  } catch (error) {
    const attempts = attemptsOf(error);
    if (attempts !== undefined) step.update({ attempts });
    if (error instanceof ActivityFailure) step.ranOn(error.identity);
    if (isUnreported(error) && run.rehearsal === undefined) yield* countFailure(run, error);
    if (run.prepared.tellsUnknownOutcomes === true && isLostAttempt(error) && !isRepeatable(task, args)) {
      throw unknownOutcome(error);
    }
    throw toFlowError(error);
  } finally {
    run.dispatch.leave();
  }
}

/** A key that comes out as null reuses nothing: data that is not there must not be the same everywhere. */
function cacheOf({ cache }: CallPlan, { cacheKey: key }: BatchValues): Pick<StepRequest, 'cache'> {
  if (cache === undefined || key === null) return {};
  const { maxAgeMs } = cache;
  return { cache: key === undefined ? { maxAgeMs } : { key, maxAgeMs } };
}

function traceOf({ run, step }: TaskFrame): Pick<StepRequest, 'trace'> {
  const { spans } = run.progress;
  return spans === undefined || step.span === undefined ? {} : { trace: spans.requestOf(step.span) };
}

function linePriority(task: CallPlan, run: FlowRun): { priority?: number } {
  const { priorityKey: priority } = priorityOf(task, run);
  return priority === undefined ? {} : { priority };
}

function activityOptions(
  task: CallPlan,
  { run, values }: TaskFrame,
  args: JsonObject,
  turns: StepTurns,
): ActivityOptions {
  const { retry } = task;
  const totalMs = values.timeout === undefined ? undefined : turns.timeLeft(durationOf(values.timeout, 'timeout'));
  return {
    // A dry run stays where nothing can be reached, whatever its steps are.
    taskQueue: siblingTaskQueue(run.taskQueue, run.rehearsal === undefined ? task.resources : 'sandbox'),
    startToCloseTimeout:
      totalMs === undefined ? task.startToCloseMs : Math.max(1, Math.min(totalMs, task.startToCloseMs)),
    ...(totalMs === undefined ? {} : { scheduleToCloseTimeout: Math.max(1, totalMs) }),
    heartbeatTimeout: task.heartbeatMs,
    retry: {
      ...pausesOf(task, run),
      maximumAttempts: attemptsLeft(retry.maximumAttempts, turns, run),
      nonRetryableErrorTypes: [
        ...(retry.nonRetryableErrorTypes ?? []),
        ...(isRepeatable(task, args) ? [] : LOST_ATTEMPT),
      ],
    },
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    summary: withoutPlaceholders(summaryOf(task, values, args)),
    priority: priorityOf(task, run),
  };
}

/** Between two attempts; a dry run does not wait unless it is to. */
function pausesOf({ retry }: CallPlan, { rehearsal }: FlowRun): NonNullable<ActivityOptions['retry']> {
  if (rehearsal?.waits === false) return { initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
  return {
    initialInterval: retry.initialIntervalMs,
    backoffCoefficient: retry.backoffCoefficient,
    maximumInterval: retry.maximumIntervalMs,
  };
}

/** Attempts of a step in a dry run that skips pauses: no mock has more answers, and the last of them would be given again and again. */
const MAX_REHEARSED_ATTEMPTS = 100;

/** 0 is Temporal's word for no limit. */
function attemptsLeft(maximumAttempts: number, { attempts }: StepTurns, { rehearsal }: FlowRun): number {
  const left = maximumAttempts === 0 ? 0 : Math.max(1, maximumAttempts - attempts);
  if (rehearsal?.waits !== false) return left;
  return left === 0 ? MAX_REHEARSED_ATTEMPTS : Math.min(left, MAX_REHEARSED_ATTEMPTS);
}

/**
 * How Temporal's server names an attempt that nobody reported on, in a retry policy: its worker was lost or stalled, and
 * what it did is not known. (server, common/retrypolicy: TimeoutFailureTypePrefix)
 */
const LOST_ATTEMPT = ['TemporalTimeout:Heartbeat', 'TemporalTimeout:StartToClose'];

/** Fairness between tenants is Temporal's own: the tenant is the fairness key, and with a policy its weight is the tenant's. */
export function priorityOf(
  task: { priorityKey?: number; fairnessWeight?: number },
  run: FlowRun,
): NonNullable<ActivityOptions['priority']> {
  const { share, priorityKey: ofFlow } = run.prepared;
  const priorityKey = task.priorityKey ?? ofFlow;
  if (share !== undefined) {
    // What a tenant writes into its flows gets it nothing that is others'.
    const best = share.priorityKey;
    const { fairnessWeight } = share;
    return { fairnessKey: run.tenant, fairnessWeight, priorityKey: Math.max(best, priorityKey ?? best) };
  }
  return {
    fairnessKey: run.tenant,
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(task.fairnessWeight === undefined ? {} : { fairnessWeight: task.fairnessWeight }),
  };
}

/** `name: GET https://api.example.com/orders/7`, from the author's summary or the block's telling arguments. */
export function summaryOf(task: CallPlan, values: BatchValues, args: JsonObject): string {
  const text =
    values.summary === undefined
      ? [`${task.name}:`, ...task.summaryArguments.map((path) => summaryValue(args, path))].join(' ')
      : String(values.summary);
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MAX_SUMMARY_LENGTH ? `${line.slice(0, MAX_SUMMARY_LENGTH - 1)}…` : line;
}

function summaryValue(args: JsonObject, path: string): string {
  let value: Json | undefined = args;
  for (const key of path.split('.')) value = isJsonObject(value) ? getOwn(value, key) : undefined;
  if (typeof value !== 'string') return '';
  // A URL's query may hold a secret.
  return path.endsWith('uri') ? value.replace(/[?#].*$/, '') : value;
}
