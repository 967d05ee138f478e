import type { Json, JsonObject } from '../json';
import type { Checker, Path } from './checker';

/** One item of a list of tasks or cases: an object whose only key is the name. */
export interface NamedEntry {
  readonly name: string;
  readonly value: JsonObject;
  readonly path: Path;
}

const MAX_NAME_LENGTH = 128;

/** Reads an item of a list of tasks or cases; empty after reporting. `what` is `task` or `case`. */
export function readNamedEntry(item: Json, path: Path, what: string, checker: Checker): NamedEntry[] {
  const entry = checker.object(item, path, what);
  if (entry === undefined) return [];
  const [name, ...others] = Object.keys(entry);
  if (name === undefined || others.length > 0) {
    checker.report(
      'BLW_VALUE_INVALID',
      path,
      `${what}: got ${others.length + (name === undefined ? 0 : 1)} keys, expected one: the name of the ${what} (is the text below it indented?)`,
    );
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
  const value = checker.object(entry[name], entryPath, `${what} "${name}"`);
  return value === undefined ? [] : [{ name, value, path: entryPath }];
}
