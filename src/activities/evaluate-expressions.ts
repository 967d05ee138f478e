import type { BatchValues, ExpressionRequest } from '../dsl/expressions/batch';
import type { ExpressionEngine } from './expressions/expression-engine';
import { toApplicationFailure } from './step-failure';

/** Local activity: the expressions of a step in jq or JSONata. Fails, not retried, with BLW_EXPR_FAILED. */
export function createEvaluateExpressions(
  engine: ExpressionEngine,
): (request: ExpressionRequest) => Promise<BatchValues> {
  return async (request) => {
    try {
      return await engine.evaluate(request);
    } catch (error) {
      throw toApplicationFailure(error, { attempt: 1 });
    }
  };
}
