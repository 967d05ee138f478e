import { flowError } from '../../dsl/errors';
import { requireValue, type Variables } from '../../dsl/expressions/batch';
import { describeJsonType, type Json } from '../../dsl/json';
import type { ForPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { innerScope } from '../scope';
import { type ListCursor, type LoopCursor, suspendable } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * Runs the list once for each item, one after the other (OWS dsl-reference, "For"). The first iteration gets the task's
 * input, each further one the output of the one before; the last one's output is the task's.
 */
export function* executeFor(task: ForPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, scope, variables } = frame;
  const items = requireValue(frame.values, 'in');
  if (!Array.isArray(items))
    throw flowError('BLW_EXPR_FAILED', `for: in: got ${describeJsonType(items)}, expected a list`);
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
    const list = frame.runList(task.tasks, output, innerScope(scope, { variables: loop, index }), listFrom);
    const before = output;
    const outcome = yield* suspendable(list, (inner) => ({ index, output: before, list: inner as ListCursor }));
    output = outcome.output;
    if (outcome.endsFlow) return { output, endsFlow: true };
  }
  return { output };
}
