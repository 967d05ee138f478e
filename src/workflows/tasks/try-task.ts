import { CancellationScope, sleep } from '@temporalio/workflow';
import { FlowError, type FlowErrorData, flowErrorToJson, isSameErrorType } from '../../dsl/errors';
import type { Variables } from '../../dsl/expressions/evaluator';
import type { JsonObject } from '../../dsl/json';
import type { RetryPlan, TryPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import { innerScope } from '../scope';
import type { TaskFrame, TaskResult } from '../task-frame';
import { durationOf, withTimeout } from '../timeouts';

/**
 * Runs the list; an error that the clause catches is retried as its policy says, then handled by `catch.do` (OWS
 * dsl-reference, "Try"). Cancellation is never caught. A retried list runs its steps again under the same idempotency
 * keys, so that a server which honours them does nothing twice.
 */
export function* executeTry(task: TryPlan, frame: TaskFrame): Routine<TaskResult> {
  const startedAt = Date.now();
  for (let retries = 0; ; retries += 1) {
    try {
      const { output, endsFlow } = yield* runAttempt(task, frame);
      return { output, endsFlow };
    } catch (error) {
      if (!(error instanceof FlowError) || isBeyondCatching(error)) throw error;
      const caught = catchError(task, frame, error.data);
      if (caught === undefined) throw error;
      const delayMs = retryDelay(task.catch.retry, { retries, startedAt, frame, variables: caught.variables });
      if (delayMs === undefined) return yield* handle(task, frame, caught.error);
      if (delayMs > 0) {
        frame.run.waits();
        yield* waitFor(sleep(delayMs, { summary: `${task.name}: retry ${retries + 1}` }));
      }
    }
  }
}

/**
 * A flow over its limits ends: a retry would meet the same limit again, at once and for ever. In a scope that is cancelled
 * meanwhile nothing may go on, whatever the list failed with.
 */
function isBeyondCatching({ data }: FlowError): boolean {
  return data.code === 'BLW_STEP_LIMIT' || CancellationScope.current().consideredCancelled;
}

function* runAttempt(task: TryPlan, frame: TaskFrame): Routine<TaskResult> {
  const run = (): Routine<TaskResult> => frame.runList(task.tasks, frame.input, innerScope(frame.scope));
  const limit = task.catch.retry?.attemptDuration;
  if (limit === undefined) return yield* run();
  return yield* withTimeout(durationOf(limit, frame.run, frame.variables, 'retry: limit.attempt.duration'), run);
}

/** The error as a variable, where the clause catches it. */
function catchError(
  task: TryPlan,
  frame: TaskFrame,
  data: FlowErrorData,
): { error: JsonObject; variables: Variables } | undefined {
  const { errorsWith, as, when, exceptWhen } = task.catch;
  if (errorsWith !== undefined && !matches(data, errorsWith)) return undefined;
  const { evaluator, context } = frame.run;
  const error = flowErrorToJson(data);
  const variables: Variables = { ...frame.variables, context, [as]: error };
  if (when !== undefined && !evaluator.evaluateCondition(when, variables, 'catch: when')) return undefined;
  if (exceptWhen !== undefined && evaluator.evaluateCondition(exceptWhen, variables, 'catch: exceptWhen'))
    return undefined;
  return { error, variables };
}

function matches(error: FlowErrorData, filter: JsonObject): boolean {
  const properties = flowErrorToJson(error);
  return Object.entries(filter).every(([key, expected]) =>
    key === 'type' && typeof expected === 'string'
      ? isSameErrorType(error.type, expected)
      : properties[key] === expected,
  );
}

function* handle(task: TryPlan, frame: TaskFrame, error: JsonObject): Routine<TaskResult> {
  const next = task.catch.next;
  if (task.catch.do === undefined) return { output: frame.input, next };
  const scope = innerScope(frame.scope, { variables: { [task.catch.as]: error } });
  const { output, endsFlow } = yield* frame.runList(task.catch.do, frame.input, scope);
  return { output, endsFlow, next };
}

/** Milliseconds until the next try, or undefined where there is none. */
function retryDelay(
  policy: RetryPlan | undefined,
  {
    retries,
    startedAt,
    frame,
    variables,
  }: { retries: number; startedAt: number; frame: TaskFrame; variables: Variables },
): number | undefined {
  if (policy === undefined) return undefined;
  const { run } = frame;
  if (policy.maxAttempts !== undefined && retries >= policy.maxAttempts) return undefined;
  if (policy.when !== undefined && !run.evaluator.evaluateCondition(policy.when, variables, 'retry: when'))
    return undefined;
  if (
    policy.exceptWhen !== undefined &&
    run.evaluator.evaluateCondition(policy.exceptWhen, variables, 'retry: exceptWhen')
  )
    return undefined;
  const delay = policy.delay === undefined ? 0 : durationOf(policy.delay, run, variables, 'retry: delay');
  const ms = backoff(policy.backoff, delay, retries) + jitter(policy, frame, variables);
  if (policy.maxDuration !== undefined) {
    const limit = durationOf(policy.maxDuration, run, variables, 'retry: limit.duration');
    if (Date.now() - startedAt + ms > limit) return undefined;
  }
  return ms;
}

/** Longest pause between two tries: a day. Exponential backoff without an end would never come back. */
const MAX_DELAY_MS = 86_400_000;

function backoff(kind: RetryPlan['backoff'], delay: number, retries: number): number {
  const factor = kind === 'constant' ? 1 : kind === 'linear' ? retries + 1 : 2 ** Math.min(retries, 40);
  return Math.min(delay * factor, MAX_DELAY_MS);
}

/** Random in the given range; Math.random of the workflow is seeded, so replay draws the same. */
function jitter(policy: RetryPlan, { run }: TaskFrame, variables: Variables): number {
  if (policy.jitter === undefined) return 0;
  const from = durationOf(policy.jitter.from, run, variables, 'retry: jitter.from');
  const to = durationOf(policy.jitter.to, run, variables, 'retry: jitter.to');
  return Math.round(from + Math.random() * Math.max(0, to - from));
}
