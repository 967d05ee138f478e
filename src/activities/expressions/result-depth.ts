import type { Json } from '../../dsl/json';

/** As deep as jq reads data; far beyond it what walks through a value runs out of stack. */
const MAX_RESULT_DEPTH = 250;

/** What is said of a value that {@link isTooDeep}. */
export const TOO_DEEP = `its result is nested deeper than ${MAX_RESULT_DEPTH} levels`;

/** True where a value is nested so deep that it could not be passed on. Without recursion. */
export function isTooDeep(value: Json): boolean {
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_RESULT_DEPTH) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}
