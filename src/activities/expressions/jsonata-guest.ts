/**
 * Runs inside of a context of its own, without any of Node's globals (see jsonata-sandbox.ts): what crosses its border is
 * text. Expressions are JSONata's, so all that an author writes ends here.
 */
import jsonata from 'jsonata';
import { RE2JS } from 're2js';

/** What {@link evaluate} gives: the value as JSON text, or what went wrong. */
export type GuestResult =
  | { readonly json: string }
  | { readonly problem: string; readonly position?: number; readonly token?: string };

/** Longest text that an expression may make; V8 ends the whole process where one is too long for its heap. */
const MAX_TEXT_LENGTH = 4_000_000;

/** Most items of a list that JSONata makes, deepest nesting of its calls. */
const LIMITS = { sequence: 1_000_000, stack: 400 };

/** Expressions compiled before, by their text. */
const compiled = new Map<string, jsonata.Expression>();
const MAX_COMPILED = 500;

/** A value that is no data; only `describe` says what it was. */
class NotData extends Error {}

/** Evaluates an expression; `data`, and the object `variables`, are JSON text. */
export async function evaluate(expression: string, data: string, variables: string): Promise<GuestResult> {
  try {
    const bindings = JSON.parse(variables) as Record<string, unknown>;
    const value: unknown = await compile(expression).evaluate(JSON.parse(data), bindings);
    const json = JSON.stringify(value, refuseOthers);
    return { json: json ?? 'null' };
  } catch (error) {
    return describe(error);
  }
}

function compile(text: string): jsonata.Expression {
  let expression = compiled.get(text);
  if (expression === undefined) {
    expression = jsonata(text, { ...LIMITS, RegexEngine: LinearRegExp as unknown as RegExpConstructor });
    expression.registerFunction('eval', () => fail('$eval is not available: it would make data into code'));
    expression.registerFunction('pad', pad, '<s-ns?:s>');
    expression.assign(AFTER_EACH_STEP as unknown as string, refuseLongText);
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(text, expression);
  }
  return expression;
}

const AFTER_EACH_STEP = Symbol.for('jsonata.__evaluate_exit');

function refuseLongText(_expression: unknown, _input: unknown, _environment: unknown, result: unknown): void {
  if (typeof result === 'string' && result.length > MAX_TEXT_LENGTH) {
    fail(`it makes a text of more than ${MAX_TEXT_LENGTH} characters`);
  }
}

/** JSONata's own makes any width at once. */
function pad(text: string | undefined, width: number, fill = ' '): string | undefined {
  if (text === undefined) return undefined;
  if (Math.abs(width) > MAX_TEXT_LENGTH) fail(`it makes a text of more than ${MAX_TEXT_LENGTH} characters`);
  const characters = Array.from(text);
  const filling = Array.from(fill === '' ? ' ' : fill);
  const missing = Math.max(0, Math.abs(width) - characters.length);
  const padding = Array.from({ length: missing }, (_, index) => filling[index % filling.length]).join('');
  return width < 0 ? padding + text : text + padding;
}

function fail(message: string): never {
  throw new NotData(message);
}

/** Functions and infinite numbers are no JSON, which would leave them out without a word. */
function refuseOthers(_key: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null;
  const isFunction = isObject && ('_jsonata_lambda' in value || '_jsonata_function' in value);
  if (isFunction || typeof value === 'function') fail('it gave a function, expected data');
  if (typeof value === 'number' && !Number.isFinite(value)) fail('it gave a number that JSON does not have');
  return value;
}

function describe(error: unknown): GuestResult {
  if (error instanceof NotData) return { problem: error.message };
  if (error instanceof RangeError) return { problem: rangeProblem(error) };
  const { code, message, position, token } = error as Record<string, unknown>;
  if (code === 'D2014' || code === 'D2015') return { problem: `it makes a list of more than ${LIMITS.sequence} items` };
  if (code === 'D1011') return { problem: `its functions call each other more than ${LIMITS.stack} deep` };
  return {
    problem: typeof message === 'string' && message !== '' ? message : 'JSONata could not evaluate it',
    ...(typeof position === 'number' ? { position } : {}),
    ...(typeof token === 'string' ? { token } : {}),
  };
}

function rangeProblem({ message }: RangeError): string {
  if (/string length/i.test(message)) return `it makes a text of more than ${MAX_TEXT_LENGTH} characters`;
  return /array length/i.test(message)
    ? `it makes a list of more than ${LIMITS.sequence} items`
    : 'it is nested too deeply';
}

/** What JSONata needs of a RegExp, in time linear in the text (RE2); see `linearRegExp` for the reason. */
class LinearRegExp {
  lastIndex = 0;
  readonly #pattern: RE2JS;

  constructor({ source, ignoreCase, multiline }: RegExp) {
    const flags = (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (multiline ? RE2JS.MULTILINE : 0);
    try {
      this.#pattern = RE2JS.compile(source, flags);
    } catch (error) {
      fail(`/${source}/: ${error instanceof Error ? error.message : String(error)}; patterns are of RE2's syntax`);
    }
  }

  exec(text: string): (readonly (string | undefined)[] & { index: number }) | null {
    const matcher = this.#pattern.matcher(text);
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
      this.lastIndex = 0;
      return null;
    }
    this.lastIndex = matcher.end();
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? undefined);
    return Object.assign(groups, { index: matcher.start() });
  }
}
