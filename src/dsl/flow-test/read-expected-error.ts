import { ERROR_CODES, isErrorCode } from '../error-codes';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import { closestName, shortJson } from '../problems';
import type { Checker, Path, Shape } from '../validation/checker';
import { checkExpected } from './expected-value';

/** Keys of an error, as `catch` sees it. */
const ERROR_SHAPE: Shape = {
  optional: ['type', 'status', 'title', 'detail', 'instance', 'code', 'data', 'compensation'],
  habits: { aliases: { message: 'detail', name: 'code', cause: 'detail' } },
};

/** A code alone stands for an error with that code, also below matchers. */
export function readExpectedError(value: Json, path: Path, checker: Checker): Json {
  if (isJsonObject(value) && Object.keys(value).some((key) => key.startsWith('$'))) {
    checkExpected(value, path, checker);
    return readErrorMatchers(value, path, checker);
  }
  if (typeof value === 'string') {
    checkCode(value, path, checker);
    return { code: value };
  }
  const object = checker.object(value, path, 'error', '{ code: BLW_HTTP_STATUS }');
  if (object === undefined) return value;
  checker.keys(object, path, 'an error', ERROR_SHAPE);
  if (object.code !== undefined) checkCodes(object.code, [...path, 'code'], checker);
  checkExpected(object, path, checker);
  return value;
}

/** Matchers whose arguments are errors, too. */
const HOLDS_ERRORS: ReadonlySet<string> = new Set(['$not', '$oneOf']);

function readErrorMatchers(matchers: JsonObject, path: Path, checker: Checker): JsonObject {
  const read: JsonObject = {};
  for (const [key, argument] of Object.entries(matchers)) {
    const at = [...path, key];
    if (!HOLDS_ERRORS.has(key)) setOwn(read, key, argument);
    else if (Array.isArray(argument))
      setOwn(
        read,
        key,
        argument.map((item, index) => readExpectedError(item, [...at, index], checker)),
      );
    else setOwn(read, key, readExpectedError(argument, at, checker));
  }
  return read;
}

/** Codes, also below matchers; patterns are none. */
function checkCodes(value: Json, path: Path, checker: Checker): void {
  if (typeof value === 'string') checkCode(value, path, checker);
  else if (Array.isArray(value))
    for (const [index, item] of value.entries()) checkCodes(item, [...path, index], checker);
  else if (isJsonObject(value))
    for (const [key, item] of Object.entries(value))
      if (HOLDS_ERRORS.has(key)) checkCodes(item, [...path, key], checker);
}

function checkCode(code: string, path: Path, checker: Checker): void {
  if (isErrorCode(code)) return;
  const meant = closestName(code, Object.keys(ERROR_CODES));
  const advice = meant === undefined ? 'docs/errors.md has them all' : `did you mean ${meant}?`;
  const message = `code: got ${shortJson(code)}, expected a code such as BLW_HTTP_STATUS; ${advice}`;
  checker.report('BLW_VALUE_INVALID', path, message);
}
