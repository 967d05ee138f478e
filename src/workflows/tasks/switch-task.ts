import { chosenCase } from '../../dsl/planning/definition-items';
import type { SwitchPlan } from '../../dsl/planning/plan';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * The first case whose `when` holds decides where to go on; else the case without one, wherever it stands; else the
 * task's own `then` (OWS dsl-reference, "Switch"). The input passes through.
 */
export function executeSwitch(task: SwitchPlan, { run, input, values, step }: TaskFrame): TaskResult {
  const chosen = chosenCase(task, values);
  run.rehearsal?.choose(task, step, chosen?.name);
  return { output: input, next: chosen?.next };
}
