import { byPosition, type LocatedProblem, MAX_PROBLEMS, type Problem } from '../../dsl/problems';
import { explainJqError } from '../../dsl/validation/check-expressions';
import type { ValidationResult } from '../../dsl/validation/validate-flow';
import type { ExpressionEngine } from './expression-engine';

/**
 * Adds to the result of a validation what is wrong with the syntax of its expressions in jq: BLW_EXPR_SYNTAX, in the order of
 * the text where the document came as text. The engine is not asked where there is none.
 */
export async function checkJqExpressions(
  result: ValidationResult,
  engine: Pick<ExpressionEngine, 'checkJq'>,
): Promise<ValidationResult> {
  const { unchecked, locate } = result;
  if (unchecked.length === 0) return result;
  const verdicts = await engine.checkJq(unchecked.map(({ expression, variables }) => ({ expression, variables })));
  const found = unchecked.flatMap<Problem>((question, index) => {
    const verdict = verdicts[index] ?? null;
    if (verdict === null) return [];
    return [{ code: 'BLW_EXPR_SYNTAX', path: question.path, message: explainJqError(question, verdict) }];
  });
  if (found.length === 0) return { ...result, unchecked: [] };
  const all = [...result.problems, ...found];
  const ordered = locate === undefined ? all : (all.map(locate) as LocatedProblem[]).sort(byPosition);
  return {
    problems: ordered.slice(0, MAX_PROBLEMS),
    unchecked: [],
    ...(locate === undefined ? {} : { locate }),
  };
}
