import { flowError } from '../../dsl/errors';
import { requireValue, type Variables } from '../../dsl/expressions/batch';
import { describeJsonType } from '../../dsl/json';
import type { ForPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { innerScope } from '../scope';
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
  let output = frame.input;
  for (const [index, item] of items.entries()) {
    const loop = { [task.each]: item, [task.at]: index };
    if (task.while !== undefined) {
      const current: Variables = { ...variables, ...loop, context: run.context, data: output };
      const { holds } = yield* run.evaluate([{ name: 'holds', condition: task.while, field: 'while' }], current);
      if (holds === false) break;
    }
    const outcome = yield* frame.runList(task.tasks, output, innerScope(scope, { variables: loop, index }));
    output = outcome.output;
    if (outcome.endsFlow) return { output, endsFlow: true };
  }
  return { output };
}
