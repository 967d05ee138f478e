import { flowError } from '../errors';
import type { Json } from '../json';
import { type Batch, type BatchValues, type Evaluation, evaluateBatch } from './batch';
import { type CompiledExpression, compileExpression, ExpressionError } from './cel';
import { MAX_RESULT_WORK, MAX_WORK, type WorkBudget } from './work-limit';

/** Evaluates the CEL expressions of one flow; parses each once. Synchronous and deterministic. */
export class Evaluator {
  readonly #compiled = new Map<string, CompiledExpression>();
  readonly #budget: WorkBudget;

  /** `work` is what its expressions may do before the budget is renewed, `forResult` what one result may take of it. */
  constructor(
    private readonly work: number = MAX_WORK,
    forResult: number = MAX_RESULT_WORK,
  ) {
    this.#budget = { left: work, forResult };
  }

  /** Expressions that are kept. */
  get size(): number {
    return this.#compiled.size;
  }

  /** True where an evaluation has failed for want of budget: with more of it, it might not. */
  get isExhausted(): boolean {
    return this.#budget.left < 0;
  }

  /** To be called where the flow waits: the work until then did not stall anybody for long. */
  renewBudget(): void {
    this.#budget.left = this.work;
  }

  /** Values of a batch; `onPosition` hears which of its expressions is evaluated. Throws BLW_EXPR_FAILED. */
  evaluateBatch(batch: Batch, onPosition?: (at: number) => void): BatchValues {
    const walk = evaluateBatch(batch);
    let step = walk.next();
    for (let at = 0; step.done !== true; at += 1) {
      onPosition?.(at);
      step = walk.next(this.evaluate(step.value));
    }
    return step.value;
  }

  /** Value of one expression. Throws BLW_EXPR_FAILED. */
  evaluate({ expression, variables }: Evaluation): Json {
    try {
      return this.#compile(expression)(variables, this.#budget);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      const where = error.offset === undefined ? '' : ` at character ${error.offset + 1}`;
      throw flowError('BLW_EXPR_FAILED', `\${ ${expression} }${where}: ${error.message}`, { cause: error });
    }
  }

  #compile(expression: string): CompiledExpression {
    let compiled = this.#compiled.get(expression);
    if (compiled === undefined) {
      compiled = compileExpression(expression);
      this.#compiled.set(expression, compiled);
    }
    return compiled;
  }
}
