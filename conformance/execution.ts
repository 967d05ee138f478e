import type { FlowOutcome } from '../src/cli/flow-outcome';
import type { Json } from '../src/dsl/json';
import type { StepProgress } from '../src/dsl/progress';

/** A flow that has ended. */
export interface Execution {
  readonly outcome: FlowOutcome;
  /** What ran, in the order in which it began, from the query `progress`. */
  steps(): Promise<readonly StepProgress[]>;
  /** Output of a task that completed. Throws an Error where it cannot be had. */
  outputOf(task: string): Promise<Json>;
}
