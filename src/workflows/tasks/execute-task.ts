import { requireValue } from '../../dsl/expressions/batch';
import type { TaskPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { innerScope } from '../scope';
import type { TaskFrame, TaskResult } from '../task-frame';
import { executeCall } from './call-task';
import { executeFor } from './for-task';
import { executeFork } from './fork-task';
import { executeHuman } from './human-task';
import { executeRaise } from './raise-task';
import { executeSwitch } from './switch-task';
import { executeTry } from './try-task';
import { executeWait } from './wait-task';

/** Runs what is particular to a kind of task, between its input and its output. */
export function* executeTask(task: TaskPlan, frame: TaskFrame): Routine<TaskResult> {
  switch (task.kind) {
    case 'call':
      return task.human === true ? yield* executeHuman(task, frame) : yield* executeCall(task, frame);
    case 'do':
      return asResult(yield* frame.runList(task.tasks, frame.input, innerScope(frame.scope)));
    case 'for':
      return yield* executeFor(task, frame);
    case 'fork':
      return yield* executeFork(task, frame);
    case 'raise':
      return executeRaise(task, frame);
    case 'set':
      return { output: requireValue(frame.values, 'value') };
    case 'switch':
      return executeSwitch(task, frame);
    case 'try':
      return yield* executeTry(task, frame);
    case 'wait':
      return yield* executeWait(task, frame);
  }
}

function asResult({ output, endsFlow }: TaskResult): TaskResult {
  return { output, endsFlow: endsFlow === true };
}
