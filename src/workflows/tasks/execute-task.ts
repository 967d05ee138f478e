import { requireValue } from '../../dsl/expressions/batch';
import type { DoPlan, TaskPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { rehearseTask } from '../dry-run/rehearse-task';
import { innerScope } from '../scope';
import { type BodyCursor, type ListCursor, suspendable } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { executeCall } from './call-task';
import { executeEmit } from './emit-task';
import { executeFor } from './for-task';
import { executeFork } from './fork-task';
import { executeFunction } from './function-task';
import { executeHuman } from './human-task';
import { executeListen } from './listen-task';
import { executeRaise } from './raise-task';
import { executeSubflow } from './subflow-task';
import { executeSwitch } from './switch-task';
import { executeTry } from './try-task';
import { executeWait } from './wait-task';

/** Kinds of tasks that reads may be made ahead through (`foresee.ts`); steps that are sent out see to it themselves. */
const FORESEEN: ReadonlySet<TaskPlan['kind']> = new Set(['call', 'set', 'switch', 'do', 'for', 'try']);

/** Runs what is particular to a kind of task, between its input and its output. */
export function* executeTask(task: TaskPlan, frame: TaskFrame): Routine<TaskResult> {
  const { rehearsal } = frame.run;
  if (!FORESEEN.has(task.kind) || (task.kind === 'call' && task.human === true)) frame.scope.reads?.drop();
  if (rehearsal !== undefined) return yield* rehearseTask(task, frame, { rehearsal, execute: executeLive });
  return yield* executeLive(task, frame);
}

function* executeLive(task: TaskPlan, frame: TaskFrame): Routine<TaskResult> {
  switch (task.kind) {
    case 'call':
      return task.human === true ? yield* executeHuman(task, frame) : yield* executeCall(task, frame);
    case 'do':
      return yield* executeDo(task, frame);
    case 'emit':
      return yield* executeEmit(task, frame);
    case 'for':
      return yield* executeFor(task, frame);
    case 'fork':
      return yield* executeFork(task, frame);
    case 'function':
      return yield* executeFunction(task, frame);
    case 'subflow':
      return yield* executeSubflow(task, frame);
    case 'listen':
      return yield* executeListen(task, frame);
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

function* executeDo(task: DoPlan, frame: TaskFrame): Routine<TaskResult> {
  const { scope, input, from, runList } = frame;
  const list = runList(
    task.tasks,
    input,
    innerScope(scope, { around: { frame } }),
    (from as BodyCursor | undefined)?.list,
  );
  const { output, endsFlow } = yield* suspendable(list, (inner) => ({ list: inner as ListCursor }));
  return { output, endsFlow };
}
