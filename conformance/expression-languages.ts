import { type Evaluation, evaluateBatch } from '../src/dsl/expressions/batch';
import { Evaluator } from '../src/dsl/expressions/evaluator';
import type { ExpressionLanguage } from '../src/dsl/expressions/language';
import type { Json } from '../src/dsl/json';

/** Evaluates one expression as a step of a flow does. Rejects with a FlowError for an expression that fails. */
export type EvaluateExpression = (evaluation: Evaluation) => Promise<Json>;

/** An evaluator of one language that may hold threads. */
export interface LanguageEvaluator {
  readonly evaluate: EvaluateExpression;
  close(): Promise<void>;
}

/** Starts the evaluator of a language; undefined for one that the engine does not run. */
export function startLanguage(language: ExpressionLanguage): LanguageEvaluator | undefined {
  switch (language) {
    case 'cel':
      return { evaluate: evaluateCel, close: async () => undefined };
    // PLUG IN HERE the engine of jq and JSONata: give it a batch of one item, as `evaluateCel` does.
    case 'jq':
    case 'jsonata':
      return undefined;
  }
}

/** A batch of one item, each with a budget of its own, as every wait of a flow gives. */
async function evaluateCel({ expression, variables }: Evaluation): Promise<Json> {
  const evaluator = new Evaluator();
  const walk = evaluateBatch({ items: [{ name: 'value', template: { expr: expression } }], variables });
  let step = walk.next();
  while (!step.done) step = walk.next(evaluator.evaluate(step.value.expression, step.value.variables));
  return step.value.value ?? null;
}
