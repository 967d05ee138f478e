import { flowError } from '../../dsl/errors';
import type { Variables } from '../../dsl/expressions/evaluator';
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
  const items = run.evaluator.render(task.in, variables);
  if (!Array.isArray(items))
    throw flowError('BLW_EXPR_FAILED', `for: in: got ${describeJsonType(items)}, expected a list`);
  let output = frame.input;
  for (const [index, item] of items.entries()) {
    const loop = { [task.each]: item, [task.at]: index };
    if (task.while !== undefined) {
      const current: Variables = { ...variables, ...loop, context: run.context, data: output };
      if (!run.evaluator.evaluateCondition(task.while, current, 'while')) break;
    }
    const outcome = yield* frame.runList(task.tasks, output, innerScope(scope, { variables: loop, index }));
    output = outcome.output;
    if (outcome.endsFlow) return { output, endsFlow: true };
  }
  return { output };
}
