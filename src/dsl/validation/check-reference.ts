import { isJsonObject, type JsonObject } from '../json';
import { closestName, listNames, shortText } from '../problems';
import type { Checker, Path } from './checker';

/** Reports a name that `use.<kind>` does not define. */
export function checkReference(name: string, kind: string, path: Path, use: JsonObject, checker: Checker): void {
  const defined = isJsonObject(use[kind]) ? Object.keys(use[kind]) : [];
  if (!defined.includes(name)) checker.report('BLW_REF_UNKNOWN', path, unknownReference(name, kind, defined));
}

/** What is said of a name that is not among those that `use.<kind>` has. */
export function unknownReference(name: string, kind: string, defined: readonly string[]): string {
  const meant = closestName(name, defined);
  const advice = meant === undefined ? `it has: ${listNames(defined)}` : `did you mean "${meant}"?`;
  return `use.${kind} has no "${shortText(name)}"; ${advice}`;
}
