import { CancellationScope, sleep } from '@temporalio/workflow';
import { FlowError, type FlowErrorData, flowErrorToJson, isSameErrorType } from '../../dsl/errors';
import type { BatchItem, BatchValues, Variables } from '../../dsl/expressions/batch';
import type { JsonObject } from '../../dsl/json';
import { conditionItem, valueItem } from '../../dsl/planning/definition-items';
import type { RetryPlan, TryPlan } from '../../dsl/planning/plan';
import { recordedTime } from '../clock';
import { type Routine, waitFor } from '../drive';
import { innerScope } from '../scope';
import { type ListCursor, suspendable, type TryCursor } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { deadlineIn, durationOf, withDeadline } from '../timeouts';

/**
 * Runs the list; an error that the clause catches is retried as its policy says, then handled by `catch.do` (OWS
 * dsl-reference, "Try"). Cancellation is never caught. A retried list runs its steps again under the same idempotency
 * keys, so that a server which honours them does nothing twice.
 */
export function* executeTry(task: TryPlan, frame: TaskFrame): Routine<TaskResult> {
  const from = frame.from as TryCursor | undefined;
  const startedAt = from?.startedAt ?? (yield* timeFor(task, frame));
  if (from?.wakeAt !== undefined) yield* pauseUntil(from.wakeAt, frame, { retries: from.retries, startedAt });
  if (from?.caught !== undefined)
    return yield* handle(task, frame, { caught: from.caught, retries: from.retries, startedAt });
  for (let retries = from?.retries ?? 0; ; retries += 1) {
    try {
      const { output, endsFlow } = yield* runAttempt(task, frame, { retries, startedAt });
      return { output, endsFlow };
    } catch (error) {
      if (!(error instanceof FlowError) || isBeyondCatching(error)) throw error;
      frame.scope.reads?.drop();
      const caught = yield* catchError(task, frame, error.data);
      if (caught === undefined) throw error;
      const elapsedMs = (yield* timeFor(task, frame)) - startedAt;
      const delayMs = retryDelay(task.catch.retry, caught.values, { retries, elapsedMs });
      if (delayMs === undefined) {
        frame.run.rehearsal?.catches(task);
        return yield* handle(task, frame, { caught: caught.error, retries, startedAt });
      }
      frame.run.countRepeat();
      yield* pause(delayMs, task, frame, { retries: retries + 1, startedAt });
    }
  }
}

/** Before try number `retries`. */
function* pause(ms: number, { name }: TryPlan, frame: TaskFrame, progress: Progress): Routine<void> {
  const { run } = frame;
  if (run.clock !== undefined) yield* pauseUntil(run.clock.now + ms, frame, progress);
  else if (run.rehearsal?.waits === false) run.rehearsal.skip(ms);
  else if (ms > 0) yield* run.longWait(waitFor(sleep(ms, { summary: `${name}: retry ${progress.retries}` })));
}

/** In a dry run, on its clock. */
function* pauseUntil(wakeAt: number, { run: { clock } }: TaskFrame, progress: Progress): Routine<void> {
  if (clock !== undefined) yield* suspendable(clock.sleep(wakeAt), () => ({ ...progress, wakeAt }));
}

/** The time that counts, where tries are limited by it. */
function* timeFor({ catch: { retry } }: TryPlan, { run }: TaskFrame): Routine<number> {
  if (run.clock !== undefined) return run.clock.now;
  const now = retry?.maxDuration === undefined ? Date.now() : yield* recordedTime(run);
  return now + (run.rehearsal?.skippedMs ?? 0);
}

/** How far a try has come. */
interface Progress {
  readonly retries: number;
  readonly startedAt: number;
}

/**
 * A flow over its limits ends: a retry would meet the same limit again, at once and for ever. In a scope that is cancelled
 * meanwhile nothing may go on, whatever the list failed with.
 */
function isBeyondCatching({ data }: FlowError): boolean {
  return data.code === 'BLW_STEP_LIMIT' || CancellationScope.current().consideredCancelled;
}

function* runAttempt(task: TryPlan, frame: TaskFrame, progress: Progress): Routine<TaskResult> {
  const from = frame.from as TryCursor | undefined;
  const current = from?.retries === progress.retries ? from : undefined;
  const list = (): Routine<TaskResult> =>
    frame.runList(task.tasks, frame.input, innerScope(frame.scope, { around: { frame } }), current?.list);
  const { attemptDuration: limit } = frame.values;
  if (limit === undefined) {
    return yield* suspendable(list(), (inner) => ({ ...progress, list: inner as ListCursor }));
  }
  const { clock } = frame.run;
  const attemptDeadline =
    current?.attemptDeadline ?? deadlineIn(durationOf(limit, 'retry: limit.attempt.duration'), clock);
  const attempt = withDeadline(attemptDeadline, list, clock);
  return yield* suspendable(attempt, (inner) => ({ ...progress, attemptDeadline, list: inner as ListCursor }));
}

/** What a clause needs to know of an error: whether it catches it, and what its retry policy says then. */
function catchItems({ catch: clause }: TryPlan, error: JsonObject): BatchItem[] {
  const { retry } = clause;
  return [
    ...stop(conditionItem('when', clause.when, 'catch: when'), false),
    ...stop(conditionItem('exceptWhen', clause.exceptWhen, 'catch: exceptWhen'), true),
    ...(retry?.as === undefined ? [] : [{ name: 'error', template: { value: error }, bind: [retry.as] }]),
    ...stop(conditionItem('retryWhen', retry?.when, 'retry: when'), false),
    ...stop(conditionItem('retryExceptWhen', retry?.exceptWhen, 'retry: exceptWhen'), true),
    ...valueItem('delay', retry?.delay),
    ...valueItem('maxDuration', retry?.maxDuration),
    ...valueItem('jitterFrom', retry?.jitter?.from),
    ...valueItem('jitterTo', retry?.jitter?.to),
  ];
}

function stop(items: BatchItem[], stopIf: boolean): BatchItem[] {
  return items.map((item) => ({ ...item, stopIf }));
}

/** The error as a variable and what was evaluated with it, where the clause catches it. */
function* catchError(
  task: TryPlan,
  frame: TaskFrame,
  data: FlowErrorData,
): Routine<{ error: JsonObject; values: BatchValues } | undefined> {
  const { errorsWith, as } = task.catch;
  if (errorsWith !== undefined && !matches(data, errorsWith)) return undefined;
  const error = flowErrorToJson(data);
  const variables: Variables = { ...frame.variables, context: frame.run.context, [as]: error };
  const values = yield* frame.run.evaluate(catchItems(task, error), variables);
  return values.when === false || values.exceptWhen === true ? undefined : { error, values };
}

function matches(error: FlowErrorData, filter: JsonObject): boolean {
  const properties = flowErrorToJson(error);
  return Object.entries(filter).every(([key, expected]) =>
    key === 'type' && typeof expected === 'string'
      ? isSameErrorType(error.type, expected)
      : properties[key] === expected,
  );
}

function* handle(
  task: TryPlan,
  frame: TaskFrame,
  { caught, ...progress }: Progress & { caught: JsonObject },
): Routine<TaskResult> {
  const next = task.catch.next;
  if (task.catch.do === undefined) return { output: frame.input, next };
  const scope = innerScope(frame.scope, { variables: { [task.catch.as]: caught } });
  const from = frame.from as TryCursor | undefined;
  const listFrom = from?.caught === undefined ? undefined : from.list;
  const { output, endsFlow } = yield* suspendable(
    frame.runList(task.catch.do, frame.input, scope, listFrom),
    (inner) => ({ ...progress, caught, list: inner as ListCursor }),
  );
  return { output, endsFlow, next };
}

/** Milliseconds until the next try, or undefined where there is none. */
function retryDelay(
  policy: RetryPlan | undefined,
  values: BatchValues,
  { retries, elapsedMs }: { retries: number; elapsedMs: number },
): number | undefined {
  if (policy === undefined) return undefined;
  if (policy.maxAttempts !== undefined && retries >= policy.maxAttempts) return undefined;
  if (values.retryWhen === false || values.retryExceptWhen === true) return undefined;
  const delay = values.delay === undefined ? 0 : durationOf(values.delay, 'retry: delay');
  const ms = backoff(policy.backoff, delay, retries) + jitter(values);
  if (values.maxDuration !== undefined && elapsedMs + ms > durationOf(values.maxDuration, 'retry: limit.duration'))
    return undefined;
  return ms;
}

/** Longest pause between two tries: a day. Exponential backoff without an end would never come back. */
const MAX_DELAY_MS = 86_400_000;

function backoff(kind: RetryPlan['backoff'], delay: number, retries: number): number {
  const factor = kind === 'constant' ? 1 : kind === 'linear' ? retries + 1 : 2 ** Math.min(retries, 40);
  return Math.min(delay * factor, MAX_DELAY_MS);
}

/** Random in the given range; Math.random of the workflow is seeded, so replay draws the same. */
function jitter({ jitterFrom, jitterTo }: BatchValues): number {
  if (jitterFrom === undefined || jitterTo === undefined) return 0;
  const from = durationOf(jitterFrom, 'retry: jitter.from');
  const to = durationOf(jitterTo, 'retry: jitter.to');
  return Math.round(from + Math.random() * Math.max(0, to - from));
}
