import { Environment, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { messageOf } from '../errors';
import { describeJsonType, isJsonObject, type Json } from '../json';
import { shortText } from '../problems';
import { linearRegExp } from '../regular-expression';
import { COPIED_CHARACTERS_PER_UNIT } from './call-cost';
import { meter } from './meter';
import { isPassedOn, pathRoot } from './path-result';
import { boundEvaluator } from './shared-evaluator';
import { visitNodes } from './syntax-tree';
import { registerTimestamps, replaceTimestampCall, withAuthorsNames } from './timestamps';
import { MAX_RESULT_DEPTH, toJson } from './to-json';
import { keysWork, MAX_WORK, spend, type WorkBudget, withBudget, withinResultSize } from './work-limit';

/** A failure of an expression: what went wrong, and where in its text (offset of a character, from 0). */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';

  constructor(
    message: string,
    readonly expression: string,
    readonly offset: number | undefined,
  ) {
    super(message);
  }
}

/**
 * A parsed expression: evaluates on the given variables, synchronously, and takes its work from the budget (default: one of
 * its own). Throws {@link ExpressionError}.
 */
export type CompiledExpression = (variables: Variables, budget?: WorkBudget) => Json;

type Variables = Record<string, unknown>;

/**
 * The functions and operators that this project adds to CEL; docs/expressions.md lists them.
 * JSON numbers are doubles and CEL's literals are ints, so the mixed arithmetic is registered (comparison is CEL's own).
 */
export function createEnvironment(unlistedVariablesAreDyn: boolean): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn,
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 5_000, maxDepth: 100 },
  });
  environment.registerOperator('double + int', (a: number, b: bigint) => a + Number(b));
  environment.registerOperator('int + double', (a: bigint, b: number) => Number(a) + b);
  environment.registerOperator('double - int', (a: number, b: bigint) => a - Number(b));
  environment.registerOperator('int - double', (a: bigint, b: number) => Number(a) - b);
  environment.registerOperator('double * int', (a: number, b: bigint) => a * Number(b));
  environment.registerOperator('int * double', (a: bigint, b: number) => Number(a) * b);
  environment.registerOperator('double / int', (a: number, b: bigint) => a / Number(b));
  environment.registerOperator('int / double', (a: bigint, b: number) => Number(a) / b);
  environment.registerOperator('double % int', (a: number, b: bigint) => a % Number(b));
  environment.registerOperator('int % double', (a: bigint, b: number) => Number(a) % b);
  environment.registerOperator('double % double', (a: number, b: number) => a % b);
  environment.registerOperator('map + map', mergeMaps);
  environment.registerFunction('sum(list): double', (list: unknown[]) => list.reduce<number>(addNumber, 0));
  environment.registerFunction('round(double): double', (value: number) => roundTo(value, 0));
  environment.registerFunction('round(int): int', (value: bigint) => value);
  environment.registerFunction('round(double, int): double', (value: number, digits: bigint) => {
    return roundTo(value, Math.max(-15, Math.min(15, Number(digits))));
  });
  environment.registerFunction('round(int, int): double', (value: bigint, digits: bigint) => {
    return roundTo(Number(value), Math.max(-15, Math.min(15, Number(digits))));
  });
  environment.registerFunction('toJson(dyn): string', jsonText);
  environment.registerFunction('fromJson(string): dyn', parseJson);
  environment.registerFunction(`string.${LINEAR_MATCHES}(string): bool`, matchesLinear);
  registerTimestamps(environment);
  boundEvaluator(environment);
  return environment;
}

/** What `matches` becomes: the library's own takes JavaScript's regular expressions, which backtrack, and cannot be replaced. */
export const LINEAR_MATCHES = 'linearMatches';

function matchesLinear(text: string, pattern: string): boolean {
  spend(COMPILED_UNITS * pattern.length);
  const expression = compilePattern(pattern);
  spend(Math.floor(expression.size * (COMPILED_UNITS + MATCHED_UNITS * text.length)));
  return expression.test(text);
}

/** What an instruction of a pattern's program takes to compile, and to try on a character, in the worst case (measured). */
const COMPILED_UNITS = 4;
const MATCHED_UNITS = 1.5;

function compilePattern(pattern: string): ReturnType<typeof linearRegExp> {
  try {
    return linearRegExp(pattern);
  } catch (error) {
    throw new Error(`matches(): ${messageOf(error)}`);
  }
}

/** Parses an expression, puts our own `matches` in the place of the library's, and meters its work. */
export function parseExpression(environment: Environment, expression: string): ReturnType<Environment['parse']> {
  const parsed = environment.parse(expression);
  visitNodes(parsed.ast, (node) => {
    const { op, args } = node;
    if (op === 'rcall' && Array.isArray(args) && args[0] === 'matches') args[0] = LINEAR_MATCHES;
    replaceTimestampCall(node);
    meter(node);
    return true;
  });
  return parsed;
}

function mergeMaps(left: object, right: object): object {
  if (!(left instanceof Map || right instanceof Map)) return { ...left, ...right };
  return new Map([...entriesOf(left), ...entriesOf(right)]);
}

function entriesOf(map: object): Iterable<[unknown, unknown]> {
  return map instanceof Map ? map.entries() : Object.entries(map);
}

function addNumber(total: number, value: unknown, index: number): number {
  if (typeof value === 'number' || typeof value === 'bigint') return total + Number(value);
  if (value instanceof UnsignedInt) return total + Number(value.value);
  throw new Error(`sum() takes a list of numbers, got ${describeJsonType(value)} at index ${index}`);
}

/**
 * Rounds the decimal form, half away from zero: 1.005 to 2 digits is 1.01, though the double nearest to 1.005 is below it.
 */
function roundTo(value: number, digits: number): number {
  if (!Number.isFinite(value)) return value;
  return Math.sign(value) * shiftPoint(Math.round(shiftPoint(Math.abs(value), digits)), -digits);
}

/** Moves the decimal point: exact where multiplying by a power of ten is not. */
function shiftPoint(value: number, places: number): number {
  const [mantissa, exponent = '0'] = String(value).split('e');
  return Number(`${mantissa}e${Number(exponent) + places}`);
}

/** The text holds each of a value's texts anew, where the value may hold one many times. */
function jsonText(value: unknown): string {
  const json = toJson(value);
  spendTexts(json);
  return JSON.stringify(json);
}

function spendTexts(json: Json): void {
  if (typeof json === 'string') spend(json.length / COPIED_CHARACTERS_PER_UNIT);
  else if (Array.isArray(json)) for (const item of json) spendTexts(item);
  else if (isJsonObject(json)) for (const key of Object.keys(json)) spendTexts(json[key] ?? null);
}

function parseJson(text: string): unknown {
  try {
    return asCelValue(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`fromJson() was not given JSON: ${error.message}`);
  }
}

/**
 * The library takes an object's type from its property `constructor`, so an object that has a key of that name is no map
 * to it. As a Map it is one. Other values stay as they are.
 */
function asCelValue(value: unknown, depth = 0): unknown {
  if (depth > MAX_RESULT_DEPTH) throw new Error(`the value is nested deeper than ${MAX_RESULT_DEPTH} levels`);
  spend(1 + keysWork(value));
  if (Array.isArray(value)) return value.map((item) => asCelValue(item, depth + 1));
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, asCelValue(item, depth + 1)] as const);
  return Object.hasOwn(value, 'constructor') ? new Map(entries) : Object.fromEntries(entries);
}

/** Evaluates anything; names are checked beforehand, by {@link checkExpression}. Never changed after it is made. */
const runtimeEnvironment = createEnvironment(true);

/** Parses an expression once for many evaluations. Throws {@link ExpressionError} where it does not parse. */
export function compileExpression(expression: string): CompiledExpression {
  const evaluate = guarded(expression, () => parseExpression(runtimeEnvironment, expression));
  const root = pathRoot(evaluate.ast);
  return (variables, budget = { left: MAX_WORK }) => {
    const isPath = root !== undefined && Object.hasOwn(variables, root);
    return guarded(expression, () => withBudget(budget, () => resultOf(run(evaluate, variables), isPath)));
  };
}

function resultOf(value: unknown, isPath: boolean): Json {
  if (isPath && isPassedOn(value, MAX_RESULT_DEPTH) && !(value instanceof Map)) return value;
  return withinResultSize(() => toJson(value));
}

/** Expressions have no effects: one that met a value that the library has no type for is evaluated again. */
function run(evaluate: (variables: Variables) => unknown, variables: Variables): unknown {
  try {
    return evaluate(variables);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'unsupported_type') throw error;
    return evaluate(asCelValue(variables) as Variables);
  }
}

/** Does it and throws whatever the library throws as {@link ExpressionError}. */
export function guarded<T>(expression: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw toExpressionError(expression, error);
  }
}

/** Messages of the library's hold whole values, which may be as large as the data. */
const MAX_MESSAGE_LENGTH = 500;

export function toExpressionError(expression: string, error: unknown): ExpressionError {
  if (error instanceof ExpressionError) return error;
  const { summary, message, range } = error as { summary?: string; message?: string; range?: { start: number } };
  const text = withAuthorsNames(summary ?? message ?? String(error)).replaceAll(LINEAR_MATCHES, 'matches');
  return new ExpressionError(shortText(text, MAX_MESSAGE_LENGTH), expression, range?.start);
}
