import type { PreparedTrigger } from '../../dsl/events/bus-messages';
import { type BatchItem, type BatchValues, evaluateBatch, type Variables } from '../../dsl/expressions/batch';
import { Evaluator } from '../../dsl/expressions/evaluator';
import { variablesOf } from '../../dsl/expressions/references';
import { type Routine, waitFor } from '../drive';
import { toFlowError } from '../failures';
import { localActivities } from '../flow-run';

/** Evaluates the expressions of triggers: CEL at once, the other languages in a local activity. Throws BLW_EXPR_FAILED. */
export class BusExpressions {
  readonly #evaluator = new Evaluator();

  *evaluate(
    language: PreparedTrigger['language'],
    items: readonly BatchItem[],
    variables: Variables,
  ): Routine<BatchValues> {
    if (language === 'cel') {
      this.#evaluator.renewBudget();
      return this.#evaluator.evaluateBatch({ items, variables });
    }
    const constant = evaluateBatch({ items, variables }).next();
    if (constant.done === true) return constant.value;
    try {
      const request = { language, items, variables: variablesOf(items, variables) };
      return yield* waitFor(localActivities.evaluateExpressions(request));
    } catch (error) {
      throw toFlowError(error);
    }
  }
}
