import { hasExpression, isWholeExpression, splitString } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import { closestName, shortText } from '../problems';
import type { ExpressionChecker } from './check-expressions';
import { booleanAdvice } from './checker';
import type { SchemaViolation } from './json-schemas';
import { argumentHabits, habitOf } from './key-habits';

/** Arguments as far as they are known before the run. */
export interface KnownArguments {
  /** The arguments, with values for expressions that read nothing, and samples for those whose type alone is known. */
  readonly args: JsonObject;
  /** Places of samples, as {@link placeOf} has them. */
  readonly samples: ReadonlySet<string>;
  /** Places of values that an expression gives. */
  readonly computed: ReadonlySet<string>;
}

function placeOf(path: readonly (string | number)[]): string {
  return JSON.stringify(path.map(String));
}

/** Puts what expressions will give in their place, where it is known now. */
export function knownArguments(args: JsonObject, expressions: ExpressionChecker): KnownArguments {
  const samples = new Set<string>();
  const computed = new Set<string>();
  const known = (value: Json, path: readonly (string | number)[]): Json => {
    if (Array.isArray(value)) return value.map((item, index) => known(item, [...path, index]));
    if (isJsonObject(value)) {
      const object: JsonObject = {};
      for (const [key, item] of Object.entries(value)) setOwn(object, key, known(item, [...path, key]));
      return object;
    }
    if (typeof value !== 'string' || !hasExpression(value)) return value;
    const found = isWholeExpression(value, 'cel') ? expressions.valueOf(expressionIn(value)) : undefined;
    if (found === undefined) return value;
    (found.isSample ? samples : computed).add(placeOf(path));
    return found.value;
  };
  return { args: known(args, []) as JsonObject, samples, computed };
}

function expressionIn(text: string): string {
  const [part] = splitString(text.trim(), 'cel').parts;
  return part !== undefined && 'expr' in part ? part.expr : '';
}

/** A violation in words for authors; `meant` is the argument that an unknown one stands for. */
export type ToldViolation = SchemaViolation & { readonly meant?: string };

/** The violations of a block's arguments, each mistake once and with what to do; those that only run time can tell are left out. */
export function explainArguments(
  violations: readonly SchemaViolation[],
  { call, args, known }: { call: string; args: JsonObject; known: KnownArguments },
): ToldViolation[] {
  const told = violations.flatMap<ToldViolation>((violation) => {
    const { path, key, message } = violation;
    if (key !== undefined) return [explainKey(violation, call, known.args)];
    const written = valueAt(args, path);
    if (typeof written !== 'string' || !hasExpression(written)) {
      return [{ ...violation, message: message + literalAdvice(written, message) }];
    }
    const place = placeOf(path);
    if (known.computed.has(place))
      return [{ ...violation, message: `${message}; that is what ${shortText(written)} gives` }];
    if (!known.samples.has(place) || violation.isType !== true) return [];
    const got = describeJsonType(valueAt(known.args, path));
    return [{ ...violation, message: message.replace(/^got [^,]*/, `${shortText(written)} gives ${got}`) }];
  });
  const meant = new Set(
    told.flatMap(({ path, meant: name }) => (name === undefined ? [] : [placeOf([...path, name])])),
  );
  return told.filter(({ path, missing }) => missing === undefined || !meant.has(placeOf([...path, missing])));
}

function explainKey(violation: SchemaViolation, call: string, args: JsonObject): ToldViolation {
  const { key = '', path, known = [] } = violation;
  if (path.length > 0 && !(path.length === 1 && path[0] === 'endpoint')) return withClosest(violation);
  const habit = path.length === 0 ? habitOf(key, argumentHabits(call), known) : undefined;
  if (habit === undefined) return withClosest(violation);
  const text = shortText(key);
  if ('advice' in habit) return { ...violation, message: `"${text}" is not known; ${habit.advice}` };
  const isTaken = Object.hasOwn(args, habit.meant);
  if (isTaken) return withClosest(violation);
  return { ...violation, message: `"${text}" is not known; did you mean "${habit.meant}"?`, meant: habit.meant };
}

function withClosest(violation: SchemaViolation): ToldViolation {
  const meant = closestName(violation.key ?? '', violation.known ?? []);
  return meant === undefined ? violation : { ...violation, meant };
}

/** What to do about a value that YAML took for another type than was meant. */
function literalAdvice(value: Json | undefined, message: string): string {
  const [, expected = ''] = /, expected ([a-z ]+)$/.exec(message) ?? [];
  if (expected.includes('boolean')) return booleanAdvice(value);
  if (typeof value === 'string' && /\b(?:integer|number)\b/.test(expected)) {
    return /^-?\d{1,15}(?:\.\d{1,15})?$/.test(value) ? `; write ${value}, without quotes` : '';
  }
  const isPlain = typeof value === 'number' || typeof value === 'boolean';
  if (expected === 'string' && isPlain) return `; put it in quotes: '${String(value)}'`;
  return expected === 'array' && typeof value === 'string' ? `; write [${shortText(value, 40)}]` : '';
}

function valueAt(args: JsonObject, path: readonly string[]): Json | undefined {
  let value: Json | undefined = args;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null) break;
    value = Array.isArray(value) ? value[Number(segment)] : value[segment];
  }
  return value;
}
