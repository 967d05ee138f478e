import { flowError } from '../../dsl/errors';
import { requireValue, type Variables } from '../../dsl/expressions/batch';
import { describeJsonType, type Json } from '../../dsl/json';
import type { ForPlan, ParallelPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { innerScope } from '../scope';
import { type ListCursor, type LoopCursor, suspendable } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { type ItemsResult, loopResult, refuseFailures, runItems, toleratedOf } from './parallel-for';
import { runWindows } from './windowed-for';

/**
 * Runs the list once for each item, one after the other (OWS dsl-reference, "For"), or side by side where
 * `metadata.concurrency` and the like say that the iterations are independent. One after the other, the first iteration gets the task's
 * input, each further one the output of the one before; the last one's output is the task's.
 */
export function* executeFor(task: ForPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, scope, variables } = frame;
  const items = requireValue(frame.values, 'in');
  if (!Array.isArray(items))
    throw flowError('BLW_EXPR_FAILED', `for: in: got ${describeJsonType(items)}, expected a list`);
  const { parallel } = task;
  if (parallel !== undefined) return loopResult(yield* runIndependent({ ...task, parallel }, items, frame));
  const from = frame.from as LoopCursor | undefined;
  let output = from?.output ?? frame.input;
  for (let index = from?.index ?? 0; index < items.length; index += 1) {
    const item = items[index] as Json;
    const loop = { [task.each]: item, [task.at]: index };
    const listFrom = index === from?.index ? from.list : undefined;
    if (task.while !== undefined && listFrom === undefined) {
      const current: Variables = { ...variables, ...loop, context: run.context, data: output };
      const { holds } = yield* run.evaluate([{ name: 'holds', condition: task.while, field: 'while' }], current);
      if (holds === false) break;
    }
    const inner = innerScope(scope, { variables: loop, index, around: { frame, loop: { items, index } } });
    const list = frame.runList(task.tasks, output, inner, listFrom);
    const before = output;
    const outcome = yield* suspendable(list, (inner) => ({ index, output: before, list: inner as ListCursor }));
    output = outcome.output;
    if (outcome.endsFlow) return { output, endsFlow: true };
  }
  return { output };
}

/** Few items run in this workflow, more of them in batches. */
function* runIndependent(
  task: ForPlan & { readonly parallel: ParallelPlan },
  items: readonly Json[],
  frame: TaskFrame,
): Routine<ItemsResult> {
  const { concurrency, batchSize } = task.parallel;
  frame.scope.reads?.drop();
  if (items.length > batchSize) return yield* runWindows(task, items, frame);
  const tolerated = toleratedOf(task.parallel, items.length);
  const result = yield* runItems({ task, items, firstIndex: 0, concurrency, tolerated }, frame);
  if (result.ended === undefined) refuseFailures(result.failures, tolerated);
  return result;
}
