import { compileExpression, ExpressionError } from '../expressions/cel';
import type { ExpressionAnalysis } from '../expressions/check';
import type { ExpressionLanguage } from '../expressions/language';
import type { Json } from '../json';
import { quoteProblem } from './quote-problem';

/** What a field that is an expression as a whole has to give. */
export type Wanted = 'condition' | 'list' | 'value';

/** What it has to give, in words, with an example in the language. */
export function describeWanted(wanted: Wanted, language: ExpressionLanguage | undefined): string {
  const root = { cel: 'data.', jq: '.', jsonata: '' }[language ?? 'cel'];
  if (wanted === 'condition') return `an expression that gives true or false, such as ${root}total > 100`;
  return wanted === 'list' ? `an expression that gives a list, such as ${root}items` : 'an expression';
}

/** CEL's types that a value is known by before the run, each with a value of it. */
const SAMPLES: ReadonlyMap<string, Json> = new Map<string, Json>([
  ['string', ''],
  ['int', 0],
  ['uint', 0],
  ['double', 0],
  ['bool', true],
  ['list', []],
  ['map', {}],
  ['null', null],
]);

/** What the field of that name needs. */
export function wantedBy(what: string): Wanted {
  if (/\b(?:if|when|exceptWhen|while)$/.test(what)) return 'condition';
  return what === 'for: in' ? 'list' : 'value';
}

/** `list<int>` is a list. */
function categoryOf(type: string): string {
  return type.replace(/<.*$/s, '');
}

const NOUNS: ReadonlyMap<string, string> = new Map([
  ['string', 'text'],
  ['int', 'a number'],
  ['uint', 'a number'],
  ['double', 'a number'],
  ['bool', 'true or false'],
  ['list', 'a list'],
  ['map', 'an object'],
  ['null', 'null'],
]);

/** A condition that gives text, a loop over a number: what can be told before there is data. */
export function typeProblem(
  expression: string,
  { type }: Pick<ExpressionAnalysis, 'type'>,
  { what, wanted }: { what: string; wanted: Wanted },
  language: ExpressionLanguage,
): string | undefined {
  const category = categoryOf(type);
  const noun = NOUNS.get(category);
  const fits = { condition: 'bool', list: 'list', value: category }[wanted];
  if (noun === undefined || category === fits) return undefined;
  return quoteProblem(expression, `it gives ${noun}, ${what} needs ${describeWanted(wanted, language)}`);
}

/** The same of an expression in jq or JSONata that is one literal. */
export function constantProblem(
  expression: string,
  field: { what: string; wanted: Wanted } | undefined,
  language: ExpressionLanguage,
): string | undefined {
  if (field === undefined || field.wanted === 'value') return undefined;
  const isText = /^(?:"[^"\\]*"|'[^'\\]*')$/.test(expression);
  if (!isText && !/^-?\d+(?:\.\d+)?$/.test(expression)) return undefined;
  return typeProblem(expression, { type: isText ? 'string' : 'int' }, field, language);
}

function constantValue(expression: string): Json | undefined {
  try {
    return compileExpression(expression)({});
  } catch (error) {
    // It will fail when it runs, too; the step says why.
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

/** What an expression gives, where that is known before the run: its value, or one of its type. */
export interface KnownValue {
  readonly value: Json;
  readonly isSample: boolean;
}

/** The value of an expression in CEL that reads nothing, else a sample of its type; undefined where only data tells. */
export function knownValue(expression: string, { type, isConstant }: ExpressionAnalysis): KnownValue | undefined {
  const sample = SAMPLES.get(categoryOf(type));
  if (sample === undefined) return undefined;
  const value = isConstant ? constantValue(expression) : undefined;
  return value === undefined ? { value: sample, isSample: true } : { value, isSample: false };
}
