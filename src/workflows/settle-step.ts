import { CancellationScope, uuid4 } from '@temporalio/workflow';
import { type DeadLetter, letterId, mergePatch, type Resolution } from '../dsl/dead-letter';
import { FlowError, type FlowErrorData, flowErrorToJson } from '../dsl/errors';
import type { BatchValues } from '../dsl/expressions/batch';
import { isJsonObject, isSameJson, type Json, type JsonObject, setOwn } from '../dsl/json';
import { isSameButPlaceholders, withoutPlaceholders } from '../dsl/placeholders';
import type { CallPlan, TaskPlan } from '../dsl/planning/plan';
import type { StepSecrets } from '../dsl/secrets';
import { recordedTime } from './clock';
import { tellCancelled, tellParked, tellResolved } from './dead-letter-news';
import { type Deed, deedWith, nextGeneration, remember } from './deeds';
import { type Routine, waitFor } from './drive';
import type { FlowRun } from './flow-run';
import type { TrackedStep } from './progress-tracker';
import type { TaskOutcome, TaskScope } from './scope';
import { type CallCursor, type ParkedCursor, type ParkedStep, Suspension, type TaskCursor } from './suspension';
import { deadlineOf } from './timeouts';

/** A task that runs. */
export interface RunningTask<T extends TaskPlan = TaskPlan> {
  readonly run: FlowRun;
  readonly task: T;
  readonly scope: TaskScope;
  readonly step: TrackedStep;
}

/** What a life of a task begins with. */
export interface LifeStart {
  readonly rawInput: Json;
  /** Grows where a retry is another deed than the one before, since it has other arguments. */
  readonly generation: number;
  /** Name of the run of the step that this one goes on with, where it is the same deed. */
  readonly execution?: string | undefined;
  /** Where its arguments are made anew: those that it was run with before. Where they come out the same, it is the same deed. */
  readonly earlier?: Json | undefined;
  /** What it was run with so far; empty where nobody has corrected it, and in histories of before. */
  readonly deeds?: readonly Deed[];
  /** Somebody says that it is done, with this output: what comes after its output is left to do. */
  readonly done?: { readonly output: Json; readonly error: JsonObject };
  /** Retries as a dead letter. */
  readonly retries: number;
  readonly from?: TaskCursor | undefined;
}

/** How far a life of a task has got; written while it goes on. */
export interface LifeTrace {
  values?: BatchValues;
  /** Set with the values. */
  generation?: number;
  execution?: string | undefined;
  secrets?: StepSecrets | undefined;
  /** The block is done. */
  hasRun?: true;
}

/**
 * Runs a step; where it fails for good, what becomes of it is as `metadata.onFailure` says: it fails, the flow goes on without it, or it
 * waits as a dead letter for people, who may have it run again, as often as they like.
 */
export function* settleStep(
  running: RunningTask<CallPlan>,
  begin: LifeStart,
  live: (start: LifeStart, trace: LifeTrace) => Routine<TaskOutcome>,
): Routine<TaskOutcome> {
  const { task, step, run } = running;
  let start = begin;
  let parked = parkedIn(begin.from);
  let isNew = false;
  for (;;) {
    if (parked === undefined) {
      const trace: LifeTrace = {};
      try {
        return yield* live(start, trace);
      } catch (thrown) {
        if (!isFailure(thrown)) throw thrown;
        const error = flowErrorToJson(thrown.at(task.path).data);
        // People take their time.
        running.scope.reads?.drop();
        if (task.onFailure === 'continue') return goOnWithout(running, start, error);
        parked = yield* park(running, start, trace, error);
        isNew = true;
      }
    }
    const resolution: Resolution = yield* awaitResolution(running, parked, isNew);
    const { letter, rawInput } = parked;
    if (resolution.action === 'discard') throw new FlowError(letter.error as unknown as FlowErrorData);
    if (resolution.action === 'skip') {
      const { output } = resolution;
      if (output === undefined) return skip(running, rawInput, letter);
      start = takeForDone(parked, output);
    } else {
      yield* run.beginStep();
      start = restart(task, parked, resolution);
    }
    step.update({ status: 'running', error: undefined });
    parked = undefined;
  }
}

/** Nobody is asked about a step that was to end anyhow. */
function isFailure(thrown: unknown): thrown is FlowError {
  return thrown instanceof FlowError && !CancellationScope.current().consideredCancelled;
}

function parkedIn(from: TaskCursor | undefined): ParkedStep | undefined {
  return from === undefined ? undefined : (from.at as Partial<ParkedCursor>).parked;
}

/** As where its `if` says no; that it failed, and why, is in `steps`. */
function goOnWithout({ run, task, scope, step }: RunningTask, { rawInput }: LifeStart, error: JsonObject): TaskOutcome {
  step.end('failed', error);
  if (run.keepsOutputOf(task.name)) setOwn(scope.steps, task.name, { error });
  return endOf(task, rawInput);
}

function skip({ run, task, scope, step }: RunningTask, output: Json, { error }: DeadLetter): TaskOutcome {
  step.end('skipped', error);
  if (run.keepsOutputOf(task.name)) setOwn(scope.steps, task.name, { output });
  return endOf(task, output);
}

function endOf({ next = 'continue' }: TaskPlan, output: Json): TaskOutcome {
  return { output, next, endsFlow: next === 'end', isSkipped: true };
}

function* park(
  { run, task, scope, step }: RunningTask<CallPlan>,
  { rawInput, generation: before, retries, earlier, deeds = [], ...start }: LifeStart,
  { values, secrets, hasRun, generation = before, execution = start.execution }: LifeTrace,
  error: JsonObject,
): Routine<ParkedStep> {
  // Drawn from the run's own random numbers: the same one where this is done again, before the history has it or after a reset.
  const named = run.prepared.recordsTimes === true ? { failureId: uuid4() } : {};
  const failedAt = yield* recordedTime(run);
  const { iteration } = scope;
  const args = values?.with;
  const { startedAt, attempts } = step.shown;
  const letter: DeadLetter = {
    id: letterId(task.path, iteration),
    step: task.path,
    name: task.name,
    ...(iteration === '' ? {} : { iteration }),
    block: task.block,
    failedIn: hasRun === true ? 'output' : values === undefined ? 'input' : 'run',
    error,
    ...(attempts === undefined ? {} : { attempts }),
    retries,
    startedAt,
    failedAt,
    ...named,
    input: rawInput,
    ...(isJsonObject(args) ? { with: JSON.parse(withoutPlaceholders(JSON.stringify(args))) as JsonObject } : {}),
  };
  const hasArguments = run.prepared.remembersDeeds === true && isJsonObject(args);
  const done = hasArguments
    ? remember(deeds, { generation, with: args, ...(execution === undefined ? {} : { execution }) })
    : deeds;
  return {
    letter,
    rawInput,
    generation,
    ...(done.length === 0 ? {} : { deeds: done }),
    ...(execution === undefined ? {} : { execution }),
    ...(values !== undefined ? { values } : earlier === undefined ? {} : { earlier }),
    ...(secrets === undefined ? {} : { secrets }),
  };
}

function* awaitResolution({ run, step }: RunningTask, parked: ParkedStep, isNew: boolean): Routine<Resolution> {
  const { letter, values, secrets, rawInput, generation, resolution: carried } = parked;
  const args = values?.with;
  step.update({ status: 'deadLettered', error: letter.error });
  run.waits();
  run.status.deadLetterBegins(letter.block);
  const told = isNew ? tellParked(run, letter) : undefined;
  let isSuspended = false;
  try {
    if (carried !== undefined) {
      yield* tellResolved(run, letter, carried);
      return carried;
    }
    const call = { ...(isJsonObject(args) ? { args } : {}), hasSecrets: secrets !== undefined };
    const resolution = yield* run.letters.await(letter, call, (late) => {
      parked.resolution = late;
    });
    // Long since done, but where it was resolved at once: a flow that has ended tells nothing more.
    if (told !== undefined) yield* waitFor(told);
    if (resolution !== 'suspend') {
      yield* tellResolved(run, letter, resolution);
      return resolution;
    }
    isSuspended = true;
  } catch (thrown) {
    if (told !== undefined) yield* waitFor(told);
    yield* tellCancelled(run, letter);
    throw thrown;
  } finally {
    if (!isSuspended) run.status.deadLetterEnds();
  }
  const cursor: TaskCursor = {
    rawInput,
    values: values ?? {},
    startedAt: letter.startedAt,
    generation,
    at: { parked },
  };
  throw new Suspension(cursor);
}

/** The same deed again has the same key, so that what was done of it is not done twice; another deed has another one. */
function restart(
  task: CallPlan,
  { letter, rawInput, values, earlier, secrets, generation, execution, deeds = [] }: ParkedStep,
  { input, with: patch }: Resolution,
): LifeStart {
  const { startedAt } = letter;
  const retries = letter.retries + 1;
  const other = { generation: nextGeneration(deeds, generation), retries, deeds };
  const args = values?.with ?? earlier;
  if (input !== undefined) {
    if (args === undefined) return { ...other, rawInput: input };
    return { rawInput: input, generation, execution, retries, earlier: args, deeds };
  }
  const before = values ?? {};
  const merged = patch === undefined ? args : mergePatch(args ?? null, patch);
  const isOther = patch !== undefined && !isSameJson(merged ?? null, args ?? null);
  const corrected = merged === undefined || !isOther ? before : { ...unkept(before), with: merged };
  const at: CallCursor = { attempts: 0, spentMs: 0, ...(secrets === undefined ? {} : { secrets }) };
  // In a dry run there are no dead letters.
  const deadline = deadlineOf(task, corrected, undefined);
  const from = { rawInput, values: corrected, startedAt, ...(deadline === undefined ? {} : { deadline }), at };
  if (!isOther) return { rawInput, generation, execution, retries, from, deeds };
  const known = deedWith(deeds, merged ?? null);
  if (known === undefined) return { ...other, rawInput, from };
  return { rawInput, generation: known.generation, execution: known.execution, retries, from, deeds };
}

/** Without the key that its result would be kept under: that was made for other arguments. */
function unkept(values: BatchValues): BatchValues {
  return values.cacheKey === undefined ? values : { ...values, cacheKey: null };
}

/** The end of a life without what a block would do: with `export.as` and `then`, and to be undone like any other. */
function takeForDone({ letter, rawInput, values = {}, generation }: ParkedStep, output: Json): LifeStart {
  const { startedAt, retries, error } = letter;
  const from = { rawInput, values, startedAt, at: { attempts: 0, spentMs: 0 } };
  return { rawInput, generation, retries, done: { output, error }, from };
}

/** Which deed of its step a life is, once its arguments are known: one that there was before, or a new one. */
export function deedOf(
  { generation, execution, earlier, deeds = [] }: LifeStart,
  { with: args = null }: BatchValues,
): { readonly generation: number; readonly execution?: string | undefined } {
  if (earlier === undefined || isSameButPlaceholders(earlier, args)) return { generation, execution };
  return deedWith(deeds, args) ?? { generation: nextGeneration(deeds, generation) };
}
