import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import type { Checker, Path } from './checker';
import { entryAdvice, explainEntry } from './explain-tasks';

/** One item of a list of tasks or cases: an object whose only key is the name. */
export interface NamedEntry {
  readonly name: string;
  readonly value: JsonObject;
  readonly path: Path;
}

const MAX_NAME_LENGTH = 128;

/**
 * Reads an item of a list of tasks or cases; empty after reporting. `what` is `task` or `case`, `kinds` are the kinds of task, for
 * messages about one that has no name.
 */
export function readNamedEntry(
  item: Json,
  path: Path,
  { what, kinds = [] }: { what: string; kinds?: readonly string[] },
  checker: Checker,
): NamedEntry[] {
  const entry = checker.object(item, path, what);
  if (entry === undefined) return [];
  const [name, ...others] = Object.keys(entry);
  if (name === undefined || others.length > 0) {
    checker.report('BLW_VALUE_INVALID', path, explainEntry(Object.keys(entry), entry, { what, kinds }));
    return [];
  }
  const entryPath = [...path, name];
  if (name === '' || name.length > MAX_NAME_LENGTH || name === '__proto__') {
    checker.report(
      'BLW_VALUE_INVALID',
      entryPath,
      `${what}: the name must have 1 to ${MAX_NAME_LENGTH} characters, and not be __proto__`,
      'key',
    );
    return [];
  }
  const value = entry[name];
  if (isJsonObject(value)) return [{ name, value, path: entryPath }];
  const message = `${what} "${name}": got ${describeJsonType(value)}, expected an object${entryAdvice(name, value, kinds)}`;
  checker.report('BLW_VALUE_INVALID', entryPath, message);
  return [];
}
