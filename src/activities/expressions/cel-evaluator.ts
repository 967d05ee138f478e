import type { Batch, BatchValues } from '../../dsl/expressions/batch';
import { Evaluator } from '../../dsl/expressions/evaluator';
import { MAX_OUTSIDE_RESULT_WORK } from '../../dsl/expressions/work-limit';

/** Evaluates a batch in CEL. Throws BLW_EXPR_FAILED. */
export type EvaluateCel = (batch: Batch, onPosition: (at: number) => void) => BatchValues;

/** Units of work: more than is done before the deadline of the thread, which is what ends an evaluation here. */
const UNBOUNDED_WORK = Number.MAX_SAFE_INTEGER;

/** As {@link EvaluateCel}; without the budget that evaluations in a workflow have. */
export const evaluateCel: EvaluateCel = (batch, onPosition) =>
  new Evaluator(UNBOUNDED_WORK, MAX_OUTSIDE_RESULT_WORK).evaluateBatch(batch, onPosition);
