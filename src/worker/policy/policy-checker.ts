import { describeJsonType, getOwn, type Json, type JsonObject } from '../../dsl/json';
import { shortJson } from '../../dsl/problems';
import type { Checker, Path } from '../../dsl/validation/checker';

/** One object of a policy file: where it stands, what it is called, and its values, checked as they are read. */
export class PolicySection {
  constructor(
    readonly checker: Checker,
    readonly object: JsonObject,
    readonly path: Path,
    /** In front of the name of a key in messages; empty, or with a dot at its end. */
    readonly prefix = '',
  ) {}

  value(key: string): Json | undefined {
    return getOwn(this.object, key);
  }

  report(key: string, message: string): void {
    this.checker.report('BLW_VALUE_INVALID', [...this.path, key], `${this.prefix}${key}: ${message}`);
  }

  text(key: string): string | undefined {
    return this.checker.text(this.value(key), [...this.path, key], this.prefix + key);
  }

  /** A whole number within the range, or undefined: absent, or reported. */
  integer(key: string, range: { readonly min: number; readonly max: number }): number | undefined {
    const value = this.value(key);
    this.checker.integer(value, [...this.path, key], this.prefix + key, range);
    return typeof value === 'number' ? value : undefined;
  }

  /** The same for any number. */
  number(key: string, { min, max }: { readonly min: number; readonly max: number }): number | undefined {
    const value = this.value(key);
    if (value === undefined || (typeof value === 'number' && value >= min && value <= max)) return value;
    const quotes = typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value));
    const advice = quotes ? '; write it without quotes' : '';
    this.report(key, `got ${shortJson(value)}, expected a number from ${min} to ${max}${advice}`);
    return undefined;
  }

  /** A list with at most so many items, or undefined: absent, or reported. `example` is what the list would look like. */
  list(key: string, maxItems: number, example: string): readonly Json[] | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) {
      this.report(key, `got ${describeJsonType(value)}, expected a list such as ${example}`);
      return undefined;
    }
    if (value.length <= maxItems) return value;
    this.report(key, `got ${value.length} items, expected at most ${maxItems}`);
    return undefined;
  }
}
