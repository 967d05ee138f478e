import { type Batch, type BatchValues, evaluateBatch } from '../../dsl/expressions/batch';
import { Evaluator } from '../../dsl/expressions/evaluator';
import { MAX_OUTSIDE_RESULT_WORK } from '../../dsl/expressions/work-limit';

/** Evaluates a batch in CEL. Throws BLW_EXPR_FAILED. */
export type EvaluateCel = (batch: Batch, onPosition: (at: number) => void) => BatchValues;

/** Units of work: more than is done before the deadline of the thread, which is what ends an evaluation here. */
const UNBOUNDED_WORK = Number.MAX_SAFE_INTEGER;

/** As {@link EvaluateCel}; without the budget that evaluations in a workflow have. */
export const evaluateCel: EvaluateCel = (batch, onPosition) => {
  const evaluator = new Evaluator(UNBOUNDED_WORK, MAX_OUTSIDE_RESULT_WORK);
  const walk = evaluateBatch(batch);
  let position = 0;
  let step = walk.next();
  while (step.done !== true) {
    onPosition(position);
    step = walk.next(evaluator.evaluate(step.value));
    position += 1;
  }
  return step.value;
};
