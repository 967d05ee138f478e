import { parseDuration } from '../durations';
import type { ErrorCode } from '../error-codes';
import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, type Problem } from '../problems';

export type Path = readonly (string | number)[];

/** What an object of a document may have: its keys, and which of them it must have. */
export interface Shape {
  readonly required?: readonly string[];
  readonly optional?: readonly string[];
}

/** Collects the problems of a document; the small checks that all parts of the validation share. */
export class Checker {
  readonly problems: Problem[] = [];

  report(code: ErrorCode, path: Path, message: string, part: 'key' | 'value' = 'value'): void {
    this.problems.push({ code, path, message, part });
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
      const advice = meant === undefined ? `it has: ${known.join(', ')}` : `did you mean "${meant}"?`;
      this.report('BLW_KEY_UNKNOWN', [...path, key], `"${key}" is not known in ${what}; ${advice}`, 'key');
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
      const quote = typeof value === 'number' ? `; write '${value}' in quotes` : '';
      this.report(
        'BLW_VALUE_INVALID',
        path,
        `${what}: got ${value === '' ? 'empty text' : describeJsonType(value)}, expected text${quote}`,
      );
      return undefined;
    }
    if (pattern !== undefined && !pattern.regex.test(value)) {
      this.report('BLW_VALUE_INVALID', path, `${what}: got "${value}", expected ${pattern.expected}`);
      return undefined;
    }
    return value;
  }

  oneOf(value: Json | undefined, path: Path, what: string, allowed: readonly Json[]): void {
    if (value === undefined || allowed.includes(value)) return;
    this.report(
      'BLW_VALUE_INVALID',
      path,
      `${what}: got ${JSON.stringify(value)}, expected one of ${allowed.join(', ')}`,
    );
  }

  integer(value: Json | undefined, path: Path, what: string, range: { min: number; max: number }): void {
    if (value === undefined) return;
    if (typeof value === 'number' && Number.isInteger(value) && value >= range.min && value <= range.max) return;
    this.report(
      'BLW_VALUE_INVALID',
      path,
      `${what}: got ${JSON.stringify(value)}, expected a whole number from ${range.min} to ${range.max}`,
    );
  }

  boolean(value: Json | undefined, path: Path, what: string): void {
    if (value === undefined || typeof value === 'boolean') return;
    this.report('BLW_VALUE_INVALID', path, `${what}: got ${describeJsonType(value)}, expected true or false`);
  }

  /** A literal duration; text with an expression in it is left to run time. */
  duration(value: Json | undefined, path: Path, what: string): void {
    if (value === undefined || (typeof value === 'string' && hasExpression(value))) return;
    const parsed = parseDuration(value);
    if ('problem' in parsed) this.report('BLW_DURATION_INVALID', path, `${what}: ${parsed.problem}`);
  }
}
