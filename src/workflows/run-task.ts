import { CancelledFailure, uuid4, workflowInfo } from '@temporalio/workflow';
import { FlowError, flowError, flowErrorToJson } from '../dsl/errors';
import type { BatchValues, Variables } from '../dsl/expressions/batch';
import { getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../dsl/json';
import { localUseOf } from '../dsl/local-step';
import { placeSecrets } from '../dsl/placeholders';
import { definitionItems, ifItems, inputItems } from '../dsl/planning/definition-items';
import type { CallPlan, FlowPlan, TaskPlan } from '../dsl/planning/plan';
import { fromJsonPointer } from '../dsl/problems';
import type { Routine } from './drive';
import { dateTime, type FlowRun } from './flow-run';
import { type TaskOutcome, type TaskScope, taskScope } from './scope';
import { deedOf, type LifeStart, type LifeTrace, type RunningTask, settleStep } from './settle-step';
import { type CallCursor, type ListCursor, Suspension, suspendable, type TaskCursor } from './suspension';
import type { TaskFrame, TaskResult } from './task-frame';
import { executeTask } from './tasks/execute-task';
import { type Deadline, deadlineOf, withDeadline } from './timeouts';
import { transformOutput } from './transform-output';
import { validate } from './validation';

/**
 * Runs the tasks of a list, one after the other and as their `then` says, until the list or the flow ends. Before a task
 * begins is where a flow may continue as new.
 */
export function* runTaskList(
  run: FlowRun,
  tasks: readonly TaskPlan[],
  input: Json,
  scope: TaskScope,
  from?: ListCursor,
): Routine<TaskOutcome> {
  const visits = new Map(Object.entries(from?.visits ?? {}));
  for (const [name, step] of Object.entries(from?.steps ?? {})) setOwn(scope.steps, name, step);
  let { index, output } = from ?? { index: 0, output: input };
  let { task: taskFrom } = from ?? {};
  for (let task = tasks[index]; task !== undefined; task = tasks[index]) {
    const cursor = (): ListCursor => ({ index, output, visits: again(visits), steps: stepsOf(tasks, scope) });
    if (taskFrom === undefined && run.shouldContinueAsNew()) throw new Suspension(cursor());
    const visit = visits.get(task.name) ?? 0;
    if (visit > 0) run.countRepeat();
    const outcome = yield* suspendable(
      runTask(run, task, output, taskScope(scope, { tasks, index, visits }, visit), taskFrom),
      (inner) => ({
        ...cursor(),
        task: inner as TaskCursor,
      }),
    );
    taskFrom = undefined;
    visits.set(task.name, visit + 1);
    output = outcome.output;
    if (outcome.endsFlow) return { output, next: 'continue', endsFlow: true };
    if (outcome.next === 'exit') break;
    index = outcome.next === 'continue' ? index + 1 : indexOfTask(tasks, outcome.next, task.path);
  }
  return { output, next: 'continue', endsFlow: false };
}

function again(visits: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(visits);
}

/** What this list has added to the outputs that expressions may read. */
function stepsOf(tasks: readonly TaskPlan[], { steps }: TaskScope): JsonObject {
  const own: JsonObject = {};
  for (const { name } of tasks) {
    const step = getOwn(steps, name);
    if (step !== undefined) setOwn(own, name, step);
  }
  return own;
}

function indexOfTask(tasks: readonly TaskPlan[], name: string, from: string): number {
  const index = tasks.findIndex((task) => task.name === name);
  if (index === -1)
    throw flowError('BLW_THEN_UNKNOWN', `then: there is no step "${name}" in this list`, { instance: from });
  return index;
}

/** Runs one task through its whole life (OWS dsl, "Data Flow"). */
export function* runTask(
  run: FlowRun,
  task: TaskPlan,
  rawInput: Json,
  scope: TaskScope,
  from?: TaskCursor,
): Routine<TaskOutcome> {
  yield* run.beginStep();
  const description = {
    id: task.path,
    name: task.name,
    ...(scope.iteration === '' ? {} : { iteration: scope.iteration }),
    block: task.kind === 'call' ? task.block : task.kind,
    ...(task.kind === 'call' && task.human !== true ? { pool: task.resources } : {}),
  };
  const around = scope.span;
  const step =
    from === undefined
      ? run.progress.begin(description, around)
      : run.progress.resume(description, { startedAt: from.startedAt, around });
  run.rehearsal?.begin(step, { isResumed: from !== undefined });
  const inside = step.span === undefined ? scope : { ...scope, span: step.span };
  const start = {
    rawInput: from?.rawInput ?? rawInput,
    generation: from?.generation ?? 0,
    retries: from?.retries ?? 0,
    execution: from?.execution,
    ...(from?.deeds === undefined ? {} : { deeds: from.deeds }),
    ...(from === undefined ? {} : { from }),
  };
  try {
    if (task.kind !== 'call' || task.onFailure === undefined || isRehearsedLetter(task, run))
      return yield* runLife({ run, task, scope: inside, step }, start);
    const running = { run, task, scope: inside, step };
    return yield* settleStep(running, start, (again, trace) => runLife(running, again, trace));
  } catch (error) {
    if (error instanceof Suspension) {
      error.steps.push(step);
      throw error;
    }
    if (error instanceof FlowError) {
      if (isRehearsedLetter(task, run)) run.rehearsal?.noteDeadLetter(step);
      const placed = error.at(task.path);
      step.end('failed', flowErrorToJson(placed.data));
      throw placed;
    }
    step.end(error instanceof CancelledFailure ? 'cancelled' : 'failed');
    throw error;
  } finally {
    run.rehearsal?.end(step);
  }
}

/** Nobody looks after the dead letters of a dry run: the step fails. */
function isRehearsedLetter(task: TaskPlan, { rehearsal }: FlowRun): boolean {
  return rehearsal !== undefined && task.kind === 'call' && task.onFailure === 'deadLetter';
}

function* runLife(running: RunningTask, begin: LifeStart, trace: LifeTrace = {}): Routine<TaskOutcome> {
  const { run, task, scope, step } = running;
  const { rawInput, retries, done, from } = begin;
  const startedAt = from?.startedAt ?? Date.now();
  const describe = taskDescriber(running, { input: rawInput, startedAt, isToldNow: from === undefined });
  const base = { ...scope.variables, ...run.constants, steps: scope.steps, task: describe({}) };
  const { secrets, variables: named } = placeSecrets(task, uuid4);
  const before =
    from?.values ?? (yield* beforeTask(run, task, { ...base, ...named, context: run.context, data: rawInput }));
  if (before === undefined) {
    step.end('skipped');
    return { output: rawInput, next: 'continue', endsFlow: false, isSkipped: true };
  }

  const { generation, execution } = deedOf(begin, before);
  trace.values = before;
  trace.generation = generation;
  trace.secrets = (from?.at as Partial<CallCursor> | undefined)?.secrets ?? secrets;
  const { input = rawInput } = before;
  const variables: Variables = { ...base, context: run.context, input, data: input };
  const frame: TaskFrame = {
    run,
    scope,
    input,
    variables,
    values: before,
    ...(secrets === undefined ? {} : { secrets }),
    step,
    generation,
    execution: execution ?? (isSentOut(task) ? nextExecution({ run, task, scope }) : undefined),
    from: from?.at,
    runList: (tasks, listInput, listScope, listFrom) => runTaskList(run, tasks, listInput, listScope, listFrom),
    runOne: (inner, taskInput, taskScope, taskFrom) => runTask(run, inner, taskInput, taskScope, taskFrom),
  };
  trace.execution = frame.execution;
  const deadline = from === undefined ? deadlineOf(task, before, run.clock) : from.deadline;
  const result: TaskResult =
    done ??
    (yield* suspendable(executeUntil(deadline, task, frame), (at) => ({
      rawInput,
      values: before,
      startedAt,
      ...(deadline === undefined ? {} : { deadline }),
      ...(generation === 0 ? {} : { generation }),
      ...(retries === 0 ? {} : { retries, ...(frame.execution === undefined ? {} : { execution: frame.execution }) }),
      ...(begin.deeds === undefined || begin.deeds.length === 0 ? {} : { deeds: begin.deeds }),
      at,
    })));
  trace.hasRun = true;
  const undoable = task.compensate === undefined ? undefined : { ...task, compensate: task.compensate };
  // Noted before its output is transformed, which may fail after all was done.
  const entry = undoable && run.compensations.note(undoable, scope, result.output);
  // What somebody says is the output as the next step gets it.
  const output = yield* transformOutput(run, done === undefined ? task : { export: task.export }, {
    ...variables,
    context: run.context,
    output: result.output,
    data: result.output,
    task: describe({ output: result.output }),
  });
  if (entry !== undefined) entry.output = output;
  if (!HOLDS_TASKS.has(task.kind)) run.rehearsal?.note(step, { output });
  if (run.keepsOutputOf(task.name)) setOwn(scope.steps, task.name, { output });
  if (done === undefined) step.end('completed');
  else step.end('skipped', done.error);

  const next = result.next ?? task.next ?? 'continue';
  return { output, next, endsFlow: result.endsFlow === true || next === 'end' };
}

/** Makes the task descriptor (OWS dsl, "Runtime expression arguments"). Whoever reads when it started is told the time, where that is new. */
function taskDescriber(
  { run, task }: RunningTask,
  { input, startedAt, isToldNow }: { input: Json; startedAt: number; isToldNow: boolean },
): (more: JsonObject) => JsonObject {
  const { historyLength } = workflowInfo();
  const { definition } = run.plan;
  const defined = definition === undefined ? {} : { definition: definitionOf(run.plan, definition, task.path) };
  return (more) => ({
    name: task.name,
    reference: task.path,
    input,
    get startedAt() {
      if (isToldNow && workflowInfo().historyLength === historyLength) run.locals.tellTime();
      return dateTime(startedAt);
    },
    ...defined,
    ...more,
  });
}

/** Kinds whose output is that of the tasks in them, or none of their own. */
const HOLDS_TASKS: ReadonlySet<TaskPlan['kind']> = new Set(['do', 'for', 'fork', 'try', 'switch', 'wait']);

/** As an activity. */
function isSentOut(task: TaskPlan): task is CallPlan {
  return task.kind === 'call' && task.human !== true;
}

/** Where its effect may happen before the history has its name, that does not depend on what others do first the next time. */
function nextExecution({ run, task, scope }: { run: FlowRun; task: CallPlan; scope: TaskScope }): string {
  const mayBeInPlace = run.locals.areTried && task.dispatch === 'local' && localUseOf(task, {}) === 'recorded';
  return run.nextExecution(mayBeInPlace ? `:${task.path}:${scope.iteration}` : '');
}

function* executeUntil(deadline: Deadline | undefined, task: TaskPlan, frame: TaskFrame): Routine<TaskResult> {
  if (deadline === undefined) return yield* executeTask(task, frame);
  return yield* withDeadline(deadline, () => executeTask(task, frame), frame.run.clock);
}

/**
 * Evaluates what comes before a task runs: `if` and `input.from` on its raw input, then its definition on the
 * transformed one. Undefined where `if` says no.
 */
function* beforeTask(run: FlowRun, task: TaskPlan, variables: Variables): Routine<BatchValues | undefined> {
  const condition = ifItems(task);
  const definition = [...inputItems(task), ...definitionItems(task)];
  const withInput: Variables = { ...variables, input: variables.data };
  if (task.input?.schema === undefined) {
    const values = yield* run.evaluate([...condition, ...definition], withInput);
    return values.if === false ? undefined : values;
  }
  const { if: holds } = yield* run.evaluate(condition, variables);
  if (holds === false) return undefined;
  yield* validate(run, task.input.schema, variables.data, 'input');
  return yield* run.evaluate(definition, withInput);
}

/** The task in the document, or in the definition of the function that it belongs to. */
function definitionOf({ functionDefinitions = {} }: FlowPlan, document: JsonObject, path: string): Json {
  const functions = Object.keys(functionDefinitions).filter((at) => path === at || path.startsWith(`${at}/`));
  const innermost = functions.reduce((longest, at) => (at.length > longest.length ? at : longest), '');
  let value: Json = innermost === '' ? document : (getOwn(functionDefinitions, innermost) ?? null);
  for (const key of fromJsonPointer(path.slice(innermost.length))) {
    // A plan from before has no definitions of functions.
    value = isJsonObject(value) || Array.isArray(value) ? ((value as JsonObject)[key] ?? null) : null;
  }
  return value;
}
