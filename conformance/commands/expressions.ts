import { LANGUAGE_EVALUATORS } from '../expression-languages';
import { checkCase, type ExpressionSuite, readExpressionSuites } from '../expression-suite';
import { EXPRESSION_SUITES_FOLDER } from '../folders';

/** Runs the cases of all languages, prints those that fail and a count for each language; resolves with the exit code. */
export async function runExpressionSuites(folder = EXPRESSION_SUITES_FOLDER): Promise<number> {
  let failed = 0;
  for (const suite of readExpressionSuites(folder)) failed += await runSuite(suite);
  return failed === 0 ? 0 : 1;
}

/** Number of cases that fail. */
async function runSuite({ language, cases }: ExpressionSuite): Promise<number> {
  const evaluator = LANGUAGE_EVALUATORS[language]?.();
  if (evaluator === undefined) {
    console.log(`${language}: 0 passed, ${cases.length} failed (the engine does not evaluate ${language})`);
    return cases.length;
  }
  let failed = 0;
  try {
    for (const one of cases) {
      try {
        await checkCase(one, evaluator);
      } catch (error) {
        failed += 1;
        const reason = error instanceof Error ? error.message : String(error);
        console.log([`FAILED  ${language} › ${one.name}`, ...reason.split('\n')].join('\n        '));
      }
    }
  } finally {
    await evaluator.close();
  }
  console.log(`${language}: ${cases.length - failed} passed, ${failed} failed`);
  return failed;
}
