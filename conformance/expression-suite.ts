import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseDocumentText } from '../src/dsl/document';
import { FlowError } from '../src/dsl/errors';
import { requireValue } from '../src/dsl/expressions/batch';
import { type ExpressionLanguage, isExpressionLanguage } from '../src/dsl/expressions/language';
import { getOwn, isJsonObject, type Json, type JsonObject } from '../src/dsl/json';
import { formatProblem } from '../src/dsl/problems';
import type { LanguageEvaluator } from './expression-languages';
import { AssertionFailure } from './verdict';

/** One expression with what it must give. */
export interface ExpressionCase {
  readonly name: string;
  readonly expression: string;
  /** What it is evaluated on; absent: null. */
  readonly data: Json;
  /** The other variables, under CEL's names. */
  readonly variables: JsonObject;
  readonly expected: { readonly result: Json } | { readonly error: string | true };
}

/** The cases of a language. */
export interface ExpressionSuite {
  readonly language: ExpressionLanguage;
  readonly cases: readonly ExpressionCase[];
}

const KEYS = ['name', 'expression', 'data', 'variables', 'result', 'error'];

/** Reads `LANGUAGE.yaml` files. Throws an Error that names file and case where one is not as documented. */
export function readExpressionSuites(folder: string): ExpressionSuite[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.yaml')) : [];
  if (files.length === 0) throw new Error(`${folder}: got no suite, expected files LANGUAGE.yaml`);
  return files.sort().map((file) => readSuite(join(folder, file)));
}

function readSuite(path: string): ExpressionSuite {
  const file = basename(path);
  const language = basename(file, '.yaml');
  if (!isExpressionLanguage(language)) throw new Error(`${file}: got the name "${language}", expected a language`);
  const parsed = parseDocumentText(readFileSync(path, 'utf8'));
  if ('problems' in parsed) throw new Error(parsed.problems.map((problem) => formatProblem(problem, file)).join('\n'));
  const cases = isJsonObject(parsed.document.value) ? parsed.document.value.cases : undefined;
  if (!Array.isArray(cases) || cases.length === 0) throw new Error(`${file}: got no cases, expected a list \`cases\``);
  return { language, cases: cases.map((value, index) => readCase(value, `${file}, case ${index + 1}`)) };
}

function readCase(value: Json, where: string): ExpressionCase {
  if (!isJsonObject(value)) throw new Error(`${where}: expected an object`);
  const unknown = Object.keys(value).filter((key) => !KEYS.includes(key));
  if (unknown.length > 0) throw new Error(`${where}: unknown ${unknown.join(', ')}; there are ${KEYS.join(', ')}`);
  const { expression, name = expression, data = null, variables = {}, error } = value;
  if (typeof expression !== 'string' || typeof name !== 'string') throw new Error(`${where}: expected an expression`);
  if (!isJsonObject(variables)) throw new Error(`${where}: variables: expected an object`);
  const result = getOwn(value, 'result');
  if ((result === undefined) === (error === undefined)) throw new Error(`${where}: expected either result or error`);
  if (result !== undefined) return { name, expression, data, variables, expected: { result } };
  if (error !== true && typeof error !== 'string') throw new Error(`${where}: error: expected text of it, or true`);
  return { name, expression, data, variables, expected: { error } };
}

/** Throws AssertionFailure where a case does not give what it must. `error` is part of the message, code included. */
export async function checkCase(one: ExpressionCase, evaluator: LanguageEvaluator): Promise<void> {
  const { expression, expected } = one;
  const got = await outcomeOf(one, evaluator);
  if ('result' in got && 'result' in expected && isDeepStrictEqual(got.result, expected.result)) return;
  if ('error' in got && 'error' in expected && (expected.error === true || got.error.includes(expected.error))) return;
  throw new AssertionFailure({ what: expression, got: describe(got), expected: describe(expected) });
}

type Outcome = { readonly result: Json } | { readonly error: string | true };

async function outcomeOf({ expression, data, variables }: ExpressionCase, evaluator: LanguageEvaluator) {
  const items = [{ name: 'value', template: { expr: expression } }];
  try {
    return { result: requireValue(await evaluator.evaluate({ items, variables: { ...variables, data } }), 'value') };
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
    return { error: `${error.data.code}: ${error.data.detail}` };
  }
}

function describe(outcome: Outcome): string {
  if ('result' in outcome) return JSON.stringify(outcome.result);
  return outcome.error === true ? 'an error' : `an error with ${JSON.stringify(outcome.error)}`;
}
