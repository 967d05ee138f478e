import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ExpressionLanguage } from '../../src/dsl/expressions/language';
import type { Json, JsonObject } from '../../src/dsl/json';

/** One expression and what it has to give: a value, or an error with this text in its message. */
export interface ExpressionCase {
  readonly expression: string;
  readonly data: Json;
  readonly variables: JsonObject;
  readonly result?: Json;
  readonly error?: string;
}

/** The cases of a language, from the data file beside this one. */
export function expressionCases(language: ExpressionLanguage): ExpressionCase[] {
  const cases = parse(readFileSync(join(__dirname, `${language}.yaml`), 'utf8')) as Partial<ExpressionCase>[];
  return cases.map(({ expression, data = null, variables = {}, ...expected }) => {
    if (typeof expression !== 'string' || 'result' in expected === 'error' in expected) {
      throw new Error(`not a case: ${JSON.stringify({ expression, ...expected })}`);
    }
    return { expression, data, variables, ...expected };
  });
}
