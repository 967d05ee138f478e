import type { BatchValues, Variables } from '../dsl/expressions/batch';
import type { Json } from '../dsl/json';
import type { TaskPlan } from '../dsl/planning/plan';
import type { StepSecrets } from '../dsl/secrets';
import type { Routine } from './drive';
import type { FlowRun } from './flow-run';
import type { TrackedStep } from './progress-tracker';
import type { TaskOutcome, TaskScope } from './scope';
import type { Cursor, ListCursor, TaskCursor } from './suspension';

/** What the code of one kind of task is given. */
export interface TaskFrame {
  readonly run: FlowRun;
  readonly scope: TaskScope;
  /** The task's transformed input, on which its expressions are evaluated. */
  readonly input: Json;
  /** Arguments of the expressions in the task's definition. */
  readonly variables: Variables;
  /** What was evaluated of the task's definition, by the names of `definitionItems`. */
  readonly values: BatchValues;
  /** Secrets for which placeholders stand in the values. */
  readonly secrets?: StepSecrets;
  readonly step: TrackedStep;
  /** Part of its idempotency key: other than 0 where it was retried with other arguments. */
  readonly generation: number;
  /** Of a call: names this run of the step among all of Temporal's. */
  readonly execution?: string | undefined;
  /** Where the task stood when the flow continued as new; of the task's kind. */
  readonly from: Cursor | undefined;
  /** Runs a list of tasks below this one. */
  runList(tasks: readonly TaskPlan[], input: Json, scope: TaskScope, from?: ListCursor): Routine<TaskOutcome>;
  /** Runs one task below this one. */
  runOne(task: TaskPlan, input: Json, scope: TaskScope, from?: TaskCursor): Routine<TaskOutcome>;
}

/** What a kind of task gives: the raw output, and a directive where the task itself decides (switch, catch.then). */
export interface TaskResult {
  readonly output: Json;
  readonly next?: string | undefined;
  readonly endsFlow?: boolean | undefined;
}
