import { createExpressionEngine, type ExpressionEngine } from '../../src/activities/expressions/expression-engine';
import type { ExpressionRequest } from '../../src/dsl/expressions/batch';
import { Evaluator } from '../../src/dsl/expressions/evaluator';
import { EXPRESSION_LANGUAGES } from '../../src/dsl/expressions/language';
import type { Json } from '../../src/dsl/json';
import { type Compiled, compileSources } from '../helpers/compiled';
import { expressionCases } from './cases';

let compiled: Compiled;
let engine: ExpressionEngine;

beforeAll(() => {
  compiled = compileSources();
  engine = createExpressionEngine({ entry: compiled.path('src/activities/expressions/host-main.js') });
}, 120_000);

afterAll(async () => {
  await engine?.close();
  compiled?.remove();
});

async function evaluate(request: ExpressionRequest): Promise<Json | undefined> {
  const values = request.language === 'cel' ? new Evaluator().evaluateBatch(request) : await engine.evaluate(request);
  return values.value;
}

describe.each(EXPRESSION_LANGUAGES)('%s', (language) => {
  const rows = expressionCases(language).map((row) => [row.expression, row] as const);

  test.each(rows)('%s', async (expression, { data, variables, error, result }) => {
    const items = [{ name: 'value', template: { expr: expression } }];
    const value = evaluate({ language, items, variables: { ...variables, data } });
    if (error === undefined) expect(await value).toEqual(result);
    else
      await expect(value).rejects.toMatchObject({
        data: { code: 'BLW_EXPR_FAILED', detail: expect.stringContaining(error) },
      });
  });
});
