import { jqDirective, jqIsSelfContained } from '../../dsl/expressions/jq-text';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import type { BatchExpression } from './protocol';
import { isTooDeep, TOO_DEEP } from './result-depth';

/** Options of every run: one value a line, written at once, no colours. */
export const JQ_FLAGS = ['-c', '-M', '--unbuffered'] as const;

/** Options of a run that has no data. */
export const JQ_CHECK_FLAGS = [...JQ_FLAGS, '-n'] as const;

/** Lines of {@link jqProgram} before the first line of a single expression. */
const LINES_BEFORE = 1;

/**
 * A program that evaluates expressions one after the other, on the input `[data, [values of the variables]]`, and writes a
 * line for each: the list of what it gave, at most two values, or `{"e": …}` for an error. It ends at the first that has no
 * value, and where a condition does not let it go on. Each must be self-contained (see {@link jqIsSelfContained}), else the
 * brackets around it would not be what holds it together.
 */
export function jqProgram(expressions: readonly BatchExpression[], variables: readonly string[]): string {
  const parts = expressions.map(({ expression, goesOn }) => {
    const value = `(try [limit(2;(\n${expression}\n\n))] catch {e:.})`;
    const isFine = goesOn?.map((wanted) => `. == [${wanted}]`).join(' or ') ?? 'type == "array" and length < 2';
    return `(${value} | (., if ${isFine} then empty else break $__end end))`;
  });
  return `${declared(variables)}.[0] | label $__end | (${parts.join(',')})`;
}

/** A program that compiles expressions and evaluates none: jq leaves out what is never called, not what is not reached. */
export function jqCheckProgram(expressions: readonly string[], variables: readonly string[]): string {
  const parts = expressions.map((expression) => `(\n${expression}\n\n)`);
  return `[null,[]] | ${declared(variables)}if .[0] then (${parts.join(',')}) else empty end`;
}

function declared(variables: readonly string[]): string {
  return variables.length === 0 ? '' : `.[1] as [${variables.map((name) => `$${name}`).join(',')}] | `;
}

/** What cannot be evaluated whatever jq says, or undefined: directives, and text in which brackets do not close. */
export function jqObstacle(expression: string): string | undefined {
  const directive = jqDirective(expression);
  if (directive !== undefined) return `${directive} is not available: an expression stands for itself`;
  return jqIsSelfContained(expression) ? undefined : 'brackets or quotes do not close';
}

/** The value of an expression, read off its line. */
export function readJqLine(line: string): { readonly value: Json } | { readonly problem: string } {
  const parsed = JSON.parse(line) as Json;
  if (isJsonObject(parsed)) return { problem: errorText(parsed.e ?? null) };
  const values = parsed as Json[];
  const [value = null] = values;
  if (values.length > 1) return { problem: 'it gave more than one value; write [ ] around it for a list, or first( )' };
  if (isTooDeep(value)) return { problem: TOO_DEEP };
  // Beyond what JSON readers hold; jq itself keeps such a literal as it is.
  if (/E\+\d{3}/.test(line) && !isFiniteThroughout(value)) return { problem: 'it gave a number that is too large' };
  return { value };
}

function isFiniteThroughout(value: Json): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(isFiniteThroughout);
}

/** What was thrown: jq's own errors are text, `error(…)` takes anything. */
function errorText(error: Json): string {
  if (error === 'break') return 'there is no more input; what the expression is evaluated on is .';
  return typeof error === 'string' ? shortText(error, 500) : `it raised ${shortText(JSON.stringify(error), 500)}`;
}

/** What jq's compiler says of one expression, without what is of no use to an author. */
export function compileErrorText(stderr: string, isOneLine: boolean): string {
  const [first = ''] = stderr.split('\n');
  const text = first
    .replace(/^jq: (error: )?/, '')
    .replace(/ \(Unix shell quoting issues\?\)/, '')
    .replace(/ at <top-level>, line (\d+):?$/, (_, line: string) => {
      const own = Number(line) - LINES_BEFORE;
      return isOneLine || own < 1 ? '' : ` in line ${own}`;
    });
  return readable(text);
}

const TOKENS: readonly (readonly [RegExp, string])[] = [
  [/unexpected INVALID_CHARACTER/, 'there is a character that jq does not know'],
  [/unexpected ('\)'|end of file)(, expecting end of file)?/, 'it ends too early'],
  [/unexpected QQSTRING_START/, 'unexpected text in quotes'],
  [/unexpected IDENT/, 'unexpected name'],
  [/unexpected FIELD/, 'unexpected .name'],
  [/unexpected LITERAL/, 'unexpected number'],
];

function readable(text: string): string {
  const known = TOKENS.find(([pattern]) => pattern.test(text));
  return known === undefined ? text : text.replace(known[0], known[1]);
}

/** What jq wrote about a run that broke off. */
export function brokenRunText(stderr: string, isOverfull: boolean, maxBytes: number): string {
  if (isOverfull) return `the result has more than ${maxBytes} bytes`;
  if (/cannot allocate memory/.test(stderr)) return 'it needs more than 256 MB of memory';
  if (/Exceeds depth limit/.test(stderr)) return 'the data is nested deeper than 250 levels';
  return 'it is nested too deeply';
}
