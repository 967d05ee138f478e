import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LANGUAGE_EVALUATORS, type LanguageEvaluator } from '../../conformance/expression-languages';
import { checkCase, type ExpressionSuite, readExpressionSuites } from '../../conformance/expression-suite';
import { EXPRESSION_SUITES_FOLDER } from '../../conformance/folders';

const suites = readExpressionSuites(EXPRESSION_SUITES_FOLDER);

it('there is a suite for every language that is evaluated', () => {
  const languages: string[] = suites.map(({ language }) => language);
  expect(languages).toEqual(expect.arrayContaining(Object.keys(LANGUAGE_EVALUATORS)));
});

describe.each(suites.map((suite) => [suite.language, suite] as const))('the cases of %s', (language, { cases }) => {
  const start = LANGUAGE_EVALUATORS[language];
  if (start === undefined) {
    it.skip('(the engine does not evaluate them)', () => undefined);
    return;
  }
  let evaluator: LanguageEvaluator;
  beforeAll(() => {
    evaluator = start();
  });
  afterAll(() => evaluator.close());

  it('are at least 20', () => {
    expect(cases.length).toBeGreaterThanOrEqual(20);
  });

  it.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
    await expect(checkCase(one, evaluator)).resolves.toBeUndefined();
  });
});

describe('suites of expressions', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const read = (text: string, file = 'cel.yaml'): ExpressionSuite[] => {
    writeFileSync(join(folder, file), text);
    return readExpressionSuites(folder);
  };

  it.each([
    ['another result', '{ expression: data + 1, data: 1, result: 3 }', 'got:      2\nexpected: 3'],
    ['a result of another type', '{ expression: data, data: 1, result: "1" }', 'got:      1\nexpected: "1"'],
    ['a result where an error is expected', '{ expression: "1", error: true }', 'got:      1\nexpected: an error'],
    ['an error where a result is expected', '{ expression: data.a, result: 1 }', 'BLW_EXPR_FAILED'],
    ['another error', '{ expression: data.a, error: no such words }', 'expected: an error with "no such words"'],
  ])('report %s', async (_what, text, reason) => {
    const [suite] = read(`cases: [${text}]`);
    const [one] = suite?.cases ?? [];
    const cel = LANGUAGE_EVALUATORS.cel?.();
    if (one === undefined || cel === undefined) throw new Error('there is a case and an engine');
    await expect(checkCase(one, cel)).rejects.toThrow(reason);
  });

  it.each([
    ['a language that is not known', 'cases: [{ expression: a, result: 1 }]', 'lua.yaml', 'got the name "lua"'],
    ['no cases', 'cases: []', 'cel.yaml', 'expected a list `cases`'],
    ['a case without expression', 'cases: [{ result: 1 }]', 'cel.yaml', 'cel.yaml, case 1: expected an expression'],
    ['a misspelt key', 'cases: [{ expression: a, reslut: 1 }]', 'cel.yaml', 'case 1: unknown reslut'],
    ['result and error', 'cases: [{ expression: a, result: 1, error: true }]', 'cel.yaml', 'either result or error'],
    ['neither result nor error', 'cases: [{ expression: a }]', 'cel.yaml', 'either result or error'],
    ['what is not YAML', 'cases: [', 'cel.yaml', 'cel.yaml:1:9 BLW_DOC_SYNTAX'],
  ])('refuse %s', (_what, text, file, reason) => {
    expect(() => read(text, file)).toThrow(reason);
  });

  it('refuse a folder without any', () => {
    expect(() => readExpressionSuites(folder)).toThrow('got no suite');
  });
});
