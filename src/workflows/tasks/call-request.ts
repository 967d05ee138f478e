import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import type { BatchValues } from '../../dsl/expressions/batch';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { siblingTaskQueue } from '../../dsl/names';
import { withoutPlaceholders } from '../../dsl/placeholders';
import type { CallPlan } from '../../dsl/planning/plan';
import { isRepeatable } from '../../dsl/repeatable';
import { cacheOf, idempotencyKey, type StepRequest } from '../../dsl/step-request';
import type { RetryTogether } from '../../dsl/steps-together';
import type { FlowRun } from '../flow-run';
import type { StepTurns } from '../quota/step-turns';
import { shortSummary } from '../short-summary';
import type { TaskFrame } from '../task-frame';
import { durationOf } from '../timeouts';

/** The request of a step's activity. */
export function requestOf(
  task: CallPlan,
  frame: TaskFrame,
  args: JsonObject,
  { secrets, claim }: Pick<StepTurns, 'secrets' | 'claim'>,
): StepRequest {
  const { run, scope, values, generation, execution } = frame;
  return {
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
    quota: { ...claim, ...linePriority(task, run) },
    ...traceOf(frame),
    ...(run.rehearsal === undefined ? {} : { dryRun: run.rehearsal.requestOf(task, scope) }),
  };
}

function traceOf({ run, step }: TaskFrame): Pick<StepRequest, 'trace'> {
  const { spans } = run.progress;
  return spans === undefined || step.span === undefined ? {} : { trace: spans.requestOf(step.span) };
}

function linePriority(task: CallPlan, run: FlowRun): { priority?: number } {
  const { priorityKey: priority } = priorityOf(task, run);
  return priority === undefined ? {} : { priority };
}

/** Options that every step has. */
export type StepOptions = ActivityOptions & {
  readonly startToCloseTimeout: number;
  readonly scheduleToCloseTimeout?: number;
  readonly retry: RetryTogether & { readonly maximumAttempts: number };
  readonly summary: string;
};

/** How Temporal runs the step. Throws BLW_STEP_TIMEOUT. */
export function activityOptions(
  task: CallPlan,
  { run, values }: TaskFrame,
  args: JsonObject,
  turns: StepTurns,
): StepOptions {
  const { retry } = task;
  const totalMs = values.timeout === undefined ? undefined : turns.timeLeft(durationOf(values.timeout, 'timeout'));
  return {
    // A dry run stays where nothing can be reached, whatever its steps are.
    taskQueue: siblingTaskQueue(run.taskQueue, run.rehearsal === undefined ? task.resources : 'sandbox'),
    startToCloseTimeout:
      totalMs === undefined ? task.startToCloseMs : Math.max(1, Math.min(totalMs, task.startToCloseMs)),
    ...(totalMs === undefined ? {} : timeForAll(Math.max(1, totalMs))),
    heartbeatTimeout: task.heartbeatMs,
    retry: {
      ...pausesOf(task, run, turns),
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

/**
 * Limits of all attempts together. The one of the wait for a worker ends a moment earlier, so that the server's timeout tells whether an
 * attempt had begun: by itself it is as long, and whichever the server looks at first is told.
 */
function timeForAll(totalMs: number): Pick<StepOptions, 'scheduleToCloseTimeout' | 'scheduleToStartTimeout'> {
  return { scheduleToCloseTimeout: totalMs, scheduleToStartTimeout: Math.max(1, totalMs - 1) };
}

/** Between two attempts; a dry run does not wait unless it is to. */
function pausesOf(
  { retry }: CallPlan,
  { rehearsal }: FlowRun,
  { failedInPlace }: StepTurns,
): Omit<RetryTogether, 'nonRetryableErrorTypes'> {
  if (rehearsal?.waits === false) return { initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1 };
  return {
    initialInterval: Math.min(
      retry.maximumIntervalMs,
      retry.initialIntervalMs * retry.backoffCoefficient ** failedInPlace,
    ),
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
  return shortSummary(line);
}

function summaryValue(args: JsonObject, path: string): string {
  let value: Json | undefined = args;
  for (const key of path.split('.')) value = isJsonObject(value) ? getOwn(value, key) : undefined;
  if (typeof value !== 'string') return '';
  // A URL's query may hold a secret.
  return path.endsWith('uri') ? value.replace(/[?#].*$/, '') : value;
}
