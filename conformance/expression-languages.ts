import { createExpressionEngine } from '../src/activities/expressions/expression-engine';
import type { Batch, BatchValues } from '../src/dsl/expressions/batch';
import { Evaluator } from '../src/dsl/expressions/evaluator';
import type { ExpressionLanguage } from '../src/dsl/expressions/language';
import { EXPRESSION_HOST_ENTRY } from '../src/worker/package-files';

/** An evaluator of one language; may hold threads. */
export interface LanguageEvaluator {
  /** As a step of a flow has its expressions evaluated. Rejects with a FlowError where one fails. */
  evaluate(batch: Batch): Promise<BatchValues>;
  close(): Promise<void>;
}

/** Starts the evaluator of a language. A language that is not in here is not evaluated by the engine: its cases fail. */
export const LANGUAGE_EVALUATORS: Readonly<Partial<Record<ExpressionLanguage, () => LanguageEvaluator>>> = {
  // One evaluator a batch: each has a budget of its own, as after every wait of a flow.
  cel: () => ({ evaluate: async (batch) => new Evaluator().evaluateBatch(batch), close: async () => undefined }),
  jq: () => startEngine('jq'),
  jsonata: () => startEngine('jsonata'),
};

function startEngine(language: ExpressionLanguage): LanguageEvaluator {
  const engine = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
  return { evaluate: (batch) => engine.evaluate({ language, ...batch }), close: () => engine.close() };
}
