import { CancelledFailure } from '@temporalio/workflow';
import { FlowError, flowError, flowErrorToJson } from '../dsl/errors';
import type { Variables } from '../dsl/expressions/evaluator';
import { type Json, type JsonObject, setOwn } from '../dsl/json';
import type { TaskPlan } from '../dsl/planning/plan';
import type { Routine } from './drive';
import { dateTime, type FlowRun } from './flow-run';
import type { TrackedStep } from './progress-tracker';
import { type TaskOutcome, type TaskScope, visitScope } from './scope';
import type { TaskFrame, TaskResult } from './task-frame';
import { executeTask } from './tasks/execute-task';
import { durationOf, withTimeout } from './timeouts';
import { validate } from './validation';

/** Runs the tasks of a list, one after the other and as their `then` says, until the list or the flow ends. */
export function* runTaskList(
  run: FlowRun,
  tasks: readonly TaskPlan[],
  input: Json,
  scope: TaskScope,
): Routine<TaskOutcome> {
  const visits = new Map<string, number>();
  let output = input;
  let index = 0;
  for (let task = tasks[index]; task !== undefined; task = tasks[index]) {
    const visit = visits.get(task.name) ?? 0;
    visits.set(task.name, visit + 1);
    const outcome = yield* runTask(run, task, output, visitScope(scope, visit));
    output = outcome.output;
    if (outcome.endsFlow) return { output, next: 'continue', endsFlow: true };
    if (outcome.next === 'exit') break;
    index = outcome.next === 'continue' ? index + 1 : indexOfTask(tasks, outcome.next, task.path);
  }
  return { output, next: 'continue', endsFlow: false };
}

function indexOfTask(tasks: readonly TaskPlan[], name: string, from: string): number {
  const index = tasks.findIndex((task) => task.name === name);
  if (index === -1)
    throw flowError('BLW_THEN_UNKNOWN', `then: there is no step "${name}" in this list`, { instance: from });
  return index;
}

/** Runs one task through its whole life (OWS dsl, "Data Flow"). */
export function* runTask(run: FlowRun, task: TaskPlan, rawInput: Json, scope: TaskScope): Routine<TaskOutcome> {
  run.countStep();
  const step = run.progress.begin({
    id: task.path,
    name: task.name,
    ...(scope.iteration === '' ? {} : { iteration: scope.iteration }),
    block: task.kind === 'call' ? task.block : task.kind,
    ...(task.kind === 'call' && task.human !== true ? { pool: task.resources } : {}),
  });
  try {
    return yield* runLife(run, task, rawInput, scope, step);
  } catch (error) {
    if (error instanceof FlowError) {
      const placed = error.at(task.path);
      step.end('failed', flowErrorToJson(placed.data));
      throw placed;
    }
    step.end(error instanceof CancelledFailure ? 'cancelled' : 'failed');
    throw error;
  }
}

function* runLife(
  run: FlowRun,
  task: TaskPlan,
  rawInput: Json,
  scope: TaskScope,
  step: TrackedStep,
): Routine<TaskOutcome> {
  const descriptor: JsonObject = {
    name: task.name,
    reference: task.path,
    input: rawInput,
    startedAt: dateTime(Date.now()),
    ...(run.plan.definition === undefined ? {} : { definition: definitionOf(run.plan.definition, task.path) }),
  };
  const base = { ...scope.variables, ...run.constants, steps: scope.steps, task: descriptor };
  const before: Variables = { ...base, context: run.context, data: rawInput };
  if (task.if !== undefined && !run.evaluator.evaluateCondition(task.if, before, 'if')) {
    step.end('skipped');
    return { output: rawInput, next: 'continue', endsFlow: false };
  }

  if (task.input?.schema !== undefined) yield* validate(run, task.input.schema, rawInput, 'input');
  const input = task.input?.from === undefined ? rawInput : run.evaluator.render(task.input.from, before);

  const variables: Variables = { ...base, context: run.context, input, data: input };
  const frame: TaskFrame = {
    run,
    scope,
    input,
    variables,
    step,
    runList: (tasks, listInput, listScope) => runTaskList(run, tasks, listInput, listScope),
    runOne: (inner, taskInput, taskScope) => runTask(run, inner, taskInput, taskScope),
  };
  const result = yield* executeWithTimeout(task, frame);

  const after: Variables = {
    ...variables,
    context: run.context,
    data: result.output,
    task: { ...descriptor, output: result.output },
  };
  const output = task.output?.as === undefined ? result.output : run.evaluator.render(task.output.as, after);
  if (task.output?.schema !== undefined) yield* validate(run, task.output.schema, output, 'output');

  if (task.export !== undefined)
    yield* exportContext(run, task, { ...after, context: run.context, output, data: output });
  if (run.keepsOutputOf(task.name)) setOwn(scope.steps, task.name, { output });
  step.end('completed');

  const next = result.next ?? task.next ?? 'continue';
  return { output, next, endsFlow: result.endsFlow === true || next === 'end' };
}

/** A call's timeout is its activity's, kept by the server; every other task's is a timer of the flow. */
function* executeWithTimeout(task: TaskPlan, frame: TaskFrame): Routine<TaskResult> {
  if (task.timeout === undefined || (task.kind === 'call' && task.human !== true))
    return yield* executeTask(task, frame);
  const ms = durationOf(task.timeout, frame.run, frame.variables, 'timeout');
  return yield* withTimeout(ms, () => executeTask(task, frame));
}

function* exportContext(run: FlowRun, task: TaskPlan, variables: Variables): Routine<void> {
  if (task.export?.as !== undefined) run.context = run.evaluator.render(task.export.as, variables);
  if (task.export?.schema !== undefined) yield* validate(run, task.export.schema, run.context, 'export');
}

function definitionOf(document: JsonObject, path: string): Json {
  let value: Json = document;
  for (const segment of path.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~');
    value = (value as JsonObject)[key] ?? null;
  }
  return value;
}
