import { Duration, Environment, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import type { Json, JsonObject } from '../json';
import { setOwn } from '../json';

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

/** A parsed expression: evaluates on the given variables, synchronously. Throws {@link ExpressionError}. */
export type CompiledExpression = (variables: Record<string, unknown>) => Json;

/** Deepest result; also the depth at which `toJson` stops looking. */
const MAX_RESULT_DEPTH = 100;

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
  environment.registerOperator('map + map', (a: object, b: object) => ({ ...a, ...b }));
  environment.registerFunction('sum(list): double', (list: unknown[]) => list.reduce<number>(addNumber, 0));
  environment.registerFunction('round(double): double', (value: number) => Math.round(value));
  environment.registerFunction('round(double, int): double', roundTo);
  environment.registerFunction('toJson(dyn): string', (value: unknown) => JSON.stringify(toJson(value)));
  environment.registerFunction('fromJson(string): dyn', (text: string) => JSON.parse(text));
  return environment;
}

function addNumber(total: number, value: unknown): number {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw new Error('sum() takes a list of numbers');
  return total + Number(value);
}

function roundTo(value: number, digits: bigint): number {
  const places = Math.max(0, Math.min(15, Number(digits)));
  return Number(`${Math.round(Number(`${value}e${places}`))}e-${places}`);
}

/** Evaluates anything; names are checked beforehand, by {@link checkExpression}. Never changed after it is made. */
const runtimeEnvironment = createEnvironment(true);

/** Parses an expression once for many evaluations. Throws {@link ExpressionError} where it does not parse. */
export function compileExpression(expression: string): CompiledExpression {
  const evaluate = guarded(expression, () => runtimeEnvironment.parse(expression));
  return (variables) => guarded(expression, () => toJson(evaluate(variables)));
}

/** Runs it and throws whatever the library throws as {@link ExpressionError}. */
export function guarded<T>(expression: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw toExpressionError(expression, error);
  }
}

export function toExpressionError(expression: string, error: unknown): ExpressionError {
  if (error instanceof ExpressionError) return error;
  const { summary, message, range } = error as { summary?: string; message?: string; range?: { start: number } };
  return new ExpressionError(summary ?? message ?? String(error), expression, range?.start);
}

/**
 * CEL's values as JSON: 64-bit integers become numbers (text where a number would lose digits), timestamps ISO 8601 text,
 * durations ISO 8601 text, bytes base64, an absent optional null. Types and functions have no JSON form.
 */
function toJson(value: unknown, depth = 0): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value === undefined) return null;
  if (depth > MAX_RESULT_DEPTH) throw new Error(`the result is nested deeper than ${MAX_RESULT_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((item) => toJson(item, depth + 1));
  if (typeof value === 'object') return objectToJson(value, depth);
  throw new Error(`a ${typeof value} cannot be a result`);
}

function objectToJson(value: object, depth: number): Json {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return toBase64(value);
  if (value instanceof Duration) return `PT${value.valueOf() / 1_000}S`;
  if (value instanceof UnsignedInt) return toJson(value.value);
  if (isOptional(value)) return value.hasValue() ? toJson(value.value(), depth + 1) : null;
  const entries = value instanceof Map ? value.entries() : Object.entries(value);
  if (!(value instanceof Map) && !isPlainObject(value)) throw new Error('a type cannot be a result');
  const result: JsonObject = {};
  for (const [key, item] of entries) setOwn(result, String(key), toJson(item, depth + 1));
  return result;
}

function isOptional(value: object): value is { hasValue(): boolean; value(): unknown } {
  return typeof (value as { hasValue?: unknown }).hasValue === 'function' && !isPlainObject(value);
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Data from outside of the workflow's isolate has another Object.prototype; both have no prototype themselves.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** There is no Buffer and no btoa in the workflow's isolate. */
function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a = 0, b, c] = bytes.subarray(index, index + 3);
    text += BASE64.charAt(a >> 2) + BASE64.charAt(((a & 3) << 4) | ((b ?? 0) >> 4));
    text += b === undefined ? '=' : BASE64.charAt(((b & 15) << 2) | ((c ?? 0) >> 6));
    text += c === undefined ? '=' : BASE64.charAt(c & 63);
  }
  return text;
}
