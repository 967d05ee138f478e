import { parseDuration } from '../durations';
import type { ErrorCode } from '../error-codes';
import type { ExpressionLanguage } from '../expressions/language';
import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, MAX_PROBLEMS, type Problem, shortJson, shortText } from '../problems';

export type Path = readonly (string | number)[];

/** What an object of a document may have: its keys, and which of them it must have. */
export interface Shape {
  readonly required?: readonly string[];
  readonly optional?: readonly string[];
}

/** Ends a validation that has found as many problems as a report lists. */
export class ReportIsFull extends Error {}

/** Collects the problems of a document; the small checks that all parts of the validation share. */
export class Checker {
  readonly problems: Problem[] = [];
  /** Language of the document's expressions, once it is known. */
  language: ExpressionLanguage | undefined;

  report(code: ErrorCode, path: Path, message: string, part: 'key' | 'value' = 'value'): void {
    this.problems.push({ code, path, message, part });
    if (this.problems.length >= MAX_PROBLEMS) throw new ReportIsFull();
  }

  /** The value as an object, or undefined after reporting. */
  object(value: Json | undefined, path: Path, what: string): JsonObject | undefined {
    if (isJsonObject(value)) return value;
    this.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected an object`);
    return undefined;
  }

  /** The value as an object with no other keys than those of the shape, or undefined after reporting. */
  shaped(value: Json | undefined, path: Path, what: string, shape: Shape): JsonObject | undefined {
    const object = this.object(value, path, what);
    if (object !== undefined) this.keys(object, path, what, shape);
    return object;
  }

  keys(object: JsonObject, path: Path, what: string, { required = [], optional = [] }: Shape): void {
    const known = [...required, ...optional];
    for (const key of Object.keys(object)) {
      if (known.includes(key)) continue;
      const meant = closestName(key, known);
      const advice = meant === undefined ? `it has: ${listNames(known)}` : `did you mean "${meant}"?`;
      this.report('BLW_KEY_UNKNOWN', [...path, key], `"${shortText(key)}" is not known in ${what}; ${advice}`, 'key');
    }
    for (const key of required) {
      if (object[key] === undefined) this.report('BLW_KEY_MISSING', path, `${what} needs "${key}"`, 'key');
    }
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
      this.report(
        'BLW_VALUE_INVALID',
        path,
        `${what}: got ${value === '' ? 'empty text' : describeJsonType(value)}, expected text${quote}`,
      );
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
    this.report('BLW_VALUE_INVALID', path, `${what}: got ${shortJson(value)}, expected one of ${allowed.join(', ')}`);
  }

  integer(value: Json | undefined, path: Path, what: string, range: { min: number; max: number }): void {
    if (value === undefined) return;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) return;
    this.report(
      'BLW_VALUE_INVALID',
      path,
      `${what}: got ${shortJson(value)}, expected a whole number from ${range.min} to ${range.max}`,
    );
  }

  boolean(value: Json | undefined, path: Path, what: string): void {
    if (value === undefined || typeof value === 'boolean') return;
    this.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected true or false`);
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
    if ('problem' in parsed) this.report('BLW_DURATION_INVALID', path, `${what}: ${parsed.problem}`);
    else if (parsed.ms < minMs) this.report('BLW_DURATION_INVALID', path, `${what}: expected at least ${minMs} ms`);
  }
}
