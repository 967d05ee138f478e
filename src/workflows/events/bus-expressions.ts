import type { PreparedTrigger } from '../../dsl/events/bus-messages';
import { type BatchItem, type BatchValues, evaluateBatch, type Variables } from '../../dsl/expressions/batch';
import { Evaluator } from '../../dsl/expressions/evaluator';
import { variablesOf } from '../../dsl/expressions/references';
import { INLINE_WORK } from '../../dsl/expressions/work-limit';
import { type Routine, waitFor } from '../drive';
import { toFlowError } from '../failures';
import { interpreterActivities } from '../interpreter-activities';

/**
 * Evaluates the expressions of triggers: CEL at once; what takes long, and the other languages, in a local activity. Throws
 * BLW_EXPR_FAILED.
 */
export class BusExpressions {
  readonly #evaluator = new Evaluator(INLINE_WORK);

  *evaluate(
    language: PreparedTrigger['language'],
    items: readonly BatchItem[],
    variables: Variables,
  ): Routine<BatchValues> {
    if (language === 'cel') {
      this.#evaluator.renewBudget();
      try {
        return this.#evaluator.evaluateBatch({ items, variables });
      } catch (error) {
        if (!this.#evaluator.isExhausted) throw error;
      }
    }
    const constant = evaluateBatch({ items, variables }).next();
    if (constant.done === true) return constant.value;
    try {
      const request = { language, items, variables: variablesOf(language, items, variables) };
      return yield* waitFor(interpreterActivities.evaluateExpressions(request));
    } catch (error) {
      throw toFlowError(error);
    }
  }
}
