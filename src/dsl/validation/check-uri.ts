import type { ErrorCode } from '../error-codes';
import { hasExpression } from '../expressions/template';
import type { Json } from '../json';
import { shortText } from '../problems';
import type { Checker, Path } from './checker';
import { findForeignTemplate } from './foreign-templates';

/** What OWS has of RFC 6570: `{name}`, where the name is a top-level property (dsl-reference, "URI Template"). */
const URI_VARIABLE = /^(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:[A-Za-z0-9_.-]|%[0-9A-Fa-f]{2})*$/;

/** Reports what stands between braces in a URI template and is no variable; text with `${ }` is no template. */
export function checkUriVariables(
  uri: Json | undefined,
  path: Path,
  checker: Checker,
  code: ErrorCode = 'BLW_VALUE_INVALID',
): void {
  if (typeof uri !== 'string' || hasExpression(uri)) return;
  // That braces are doubled is reported with the text of the value.
  if (findForeignTemplate(uri) !== undefined) return;
  for (const [, name = ''] of uri.matchAll(/\{([^{}]*)\}/g)) {
    if (URI_VARIABLE.test(name)) continue;
    const message = `{${shortText(name)}} in a URI: expected the name of a property of the data, such as {orderId}; for all else use \${ … }`;
    checker.report(code, path, message);
  }
}
