import { parseDuration } from '../durations';
import type { ErrorCode } from '../error-codes';
import type { ExpressionLanguage } from '../expressions/language';
import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, MAX_PROBLEMS, type Problem, shortJson, shortText } from '../problems';
import { durationAdvice } from './explain-duration';
import { habitOf, type KeyHabits } from './key-habits';
import { StepIndex } from './step-index';

export type Path = readonly (string | number)[];

/** What an object of a document may have: its keys, and which of them it must have. */
export interface Shape {
  readonly required?: readonly string[];
  readonly optional?: readonly string[];
  /** What others write for its keys. */
  readonly habits?: KeyHabits;
  /** Such an object as YAML text, for messages about values of another type. */
  readonly example?: string;
  /** Keys that have been reported already, and the required ones that they stand for. */
  readonly reported?: readonly string[];
}

/** Ends a validation that has found as many problems as a report lists. */
export class ReportIsFull extends Error {}

/** Collects the problems of a document; the small checks that all parts of the validation share. */
export class Checker {
  readonly problems: Problem[] = [];
  /** Language of the document's expressions, once it is known. */
  language: ExpressionLanguage | undefined;
  /** Where the steps of the document stand. */
  steps = new StepIndex(undefined);

  report(code: ErrorCode, path: Path, message: string, part: 'key' | 'value' = 'value'): void {
    this.problems.push({ code, path, message, part });
    if (this.problems.length >= MAX_PROBLEMS) throw new ReportIsFull();
  }

  /** The value as an object, or undefined after reporting. */
  object(value: Json | undefined, path: Path, what: string, example?: string): JsonObject | undefined {
    if (isJsonObject(value)) return value;
    const such = example === undefined ? '' : ` such as ${example}`;
    const hint = value === null && example === undefined ? ' (is the text below it indented?)' : '';
    this.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected an object${such}${hint}`);
    return undefined;
  }

  /** The value as an object with no other keys than those of the shape, or undefined after reporting. */
  shaped(value: Json | undefined, path: Path, what: string, shape: Shape): JsonObject | undefined {
    const object = this.object(value, path, what, shape.example);
    if (object !== undefined) this.keys(object, path, what, shape);
    return object;
  }

  /** Reports unknown keys and missing ones; a missing one that an unknown one was meant for is not reported twice. */
  keys(object: JsonObject, path: Path, what: string, shape: Shape): void {
    const { required = [], optional = [], habits = {}, reported = [] } = shape;
    const known = [...required, ...optional];
    const found = new Set(reported);
    for (const key of Object.keys(object)) {
      if (known.includes(key) || reported.includes(key)) continue;
      const { meant, advice } = explainUnknownKey(key, known, habits);
      if (meant !== undefined) found.add(meant);
      this.report('BLW_KEY_UNKNOWN', [...path, key], `"${shortText(key)}" is not known in ${what}; ${advice}`, 'key');
    }
    for (const key of required) {
      if (object[key] !== undefined || found.has(key)) continue;
      this.report('BLW_KEY_MISSING', path, `${what} needs "${key}"`, 'key');
    }
  }

  /** The elements of the value, or none after reporting (absent is fine). */
  list(value: Json | undefined, path: Path, what: string): readonly Json[] {
    if (Array.isArray(value)) return value;
    if (value !== undefined)
      this.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected a list`);
    return [];
  }

  /** The value as text that is not empty, or undefined after reporting (absent is fine). */
  text(
    value: Json | undefined,
    path: Path,
    what: string,
    pattern?: { regex: RegExp; expected: string },
  ): string | undefined {
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value === '') {
      const isPlain = typeof value === 'number' || typeof value === 'boolean';
      const quote = isPlain ? '; put it in quotes' : '';
      const got = value === '' ? 'empty text' : describeJsonType(value);
      const expected = value !== '' && pattern !== undefined ? `text: ${pattern.expected}` : 'text';
      this.report('BLW_VALUE_INVALID', path, `${what}: got ${got}, expected ${expected}${quote}`);
      return undefined;
    }
    if (pattern !== undefined && !pattern.regex.test(value)) {
      this.report('BLW_VALUE_INVALID', path, `${what}: got "${shortText(value)}", expected ${pattern.expected}`);
      return undefined;
    }
    return value;
  }

  oneOf(value: Json | undefined, path: Path, what: string, allowed: readonly Json[]): void {
    if (value === undefined || allowed.includes(value)) return;
    const meant = typeof value === 'string' ? closestName(value, allowed.map(String)) : undefined;
    const advice = meant === undefined ? '' : `; did you mean ${meant}?`;
    const message = `${what}: got ${shortJson(value)}, expected one of ${allowed.join(', ')}${advice}`;
    this.report('BLW_VALUE_INVALID', path, message);
  }

  integer(value: Json | undefined, path: Path, what: string, range: { min: number; max: number }): void {
    if (value === undefined) return;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) return;
    this.report(
      'BLW_VALUE_INVALID',
      path,
      `${what}: got ${shortJson(value)}, expected a whole number from ${range.min} to ${range.max}${isNumeric(value) ? '; write it without quotes' : ''}`,
    );
  }

  boolean(value: Json | undefined, path: Path, what: string): void {
    if (value === undefined || typeof value === 'boolean') return;
    const message = `${what}: got ${describeJsonType(value)}, expected true or false${booleanAdvice(value)}`;
    this.report('BLW_VALUE_INVALID', path, message);
  }

  /** A literal duration; text with an expression in it is left to run time. */
  duration(value: Json | undefined, path: Path, what: string): void {
    if (value === undefined || (typeof value === 'string' && hasExpression(value))) return;
    this.literalDuration(value, path, what, 0);
  }

  /** A duration that is known now, at least so long. */
  literalDuration(value: Json | undefined, path: Path, what: string, minMs: number): void {
    if (value === undefined) return;
    const parsed = parseDuration(value);
    if ('problem' in parsed)
      this.report('BLW_DURATION_INVALID', path, `${what}: ${parsed.problem}${durationAdvice(value)}`);
    else if (parsed.ms < minMs) this.report('BLW_DURATION_INVALID', path, `${what}: expected at least ${minMs} ms`);
  }
}

/** What to do about a key that an object does not have; `meant` is the one that stands for it here. */
export function explainUnknownKey(
  key: string,
  known: readonly string[],
  habits: KeyHabits,
): { readonly meant?: string; readonly advice: string } {
  const habit = habitOf(key, habits, known);
  if (habit !== undefined && 'advice' in habit)
    return habits.standsFor === undefined ? habit : { ...habit, meant: habits.standsFor };
  const meant = habit?.meant ?? closestName(key, known);
  if (meant !== undefined) return { meant, advice: `did you mean "${meant}"?` };
  return { advice: `it has: ${listNames(known)}` };
}

function isNumeric(value: Json): boolean {
  return typeof value === 'string' && /^\d{1,9}$/.test(value);
}

/** Text that was a boolean in YAML 1.1, or is one in quotes. */
export function booleanAdvice(value: Json | undefined): string {
  const [, yes, no] = /^(?:(yes|on|y|true)|(no|off|n|false))$/i.exec(typeof value === 'string' ? value : '') ?? [];
  if (yes === undefined && no === undefined) return '';
  return `; write ${yes === undefined ? 'false' : 'true'}, without quotes`;
}
