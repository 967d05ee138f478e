import { requireObject } from '../../dsl/expressions/batch';
import type { FunctionPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { type FunctionCursor, suspendable, type TaskCursor } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * Runs the task that a function is, with the call's arguments as its input. It sees neither the variables nor the steps of its
 * caller, and a `then: end` in it ends the function, not the flow.
 */
export function* executeFunction(task: FunctionPlan, { values, scope, from, runOne }: TaskFrame): Routine<TaskResult> {
  if (task.task === undefined) throw new Error(`${task.path}: the plan was made without the catalog`);
  const { iteration, depth, span } = scope;
  const inner = { variables: {}, steps: {}, iteration, depth: depth + 1, span };
  const running = runOne(task.task, requireObject(values, 'with'), inner, (from as FunctionCursor | undefined)?.task);
  const { output } = yield* suspendable(running, (cursor) => ({ task: cursor as TaskCursor }));
  return { output };
}
