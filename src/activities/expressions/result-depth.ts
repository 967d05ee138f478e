import { isDeeperThan, type Json } from '../../dsl/json';

/** As deep as jq reads data; far beyond it what walks through a value runs out of stack. */
const MAX_RESULT_DEPTH = 250;

/** What is said of a value that {@link isTooDeep}. */
export const TOO_DEEP = `its result is nested deeper than ${MAX_RESULT_DEPTH} levels`;

/** True where a value is nested so deep that it could not be passed on. */
export function isTooDeep(value: Json): boolean {
  return isDeeperThan(value, MAX_RESULT_DEPTH);
}
