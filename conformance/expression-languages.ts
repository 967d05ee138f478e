import type { Batch, BatchValues } from '../src/dsl/expressions/batch';
import { Evaluator } from '../src/dsl/expressions/evaluator';
import type { ExpressionLanguage } from '../src/dsl/expressions/language';

/** An evaluator of one language; may hold threads. */
export interface LanguageEvaluator {
  /** As a step of a flow has its expressions evaluated. Rejects with a FlowError where one fails. */
  evaluate(batch: Batch): Promise<BatchValues>;
  close(): Promise<void>;
}

/** Starts the evaluator of a language; undefined for one that the engine does not run. */
export function startLanguage(language: ExpressionLanguage): LanguageEvaluator | undefined {
  switch (language) {
    case 'cel':
      // One evaluator a batch: each has a budget of its own, as after every wait of a flow.
      return { evaluate: async (batch) => new Evaluator().evaluateBatch(batch), close: async () => undefined };
    // PLUG IN HERE the engine of jq and JSONata: evaluate: (batch) => engine.evaluate({ language, ...batch }).
    case 'jq':
    case 'jsonata':
      return undefined;
  }
}
