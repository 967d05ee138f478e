import { flowError } from '../errors';
import { describeJsonType, getOwn, isJsonObject, type Json } from '../json';

/** RFC 6570, simple string expansion; an absent variable is nothing (OWS, "URI Template"). */
export function renderUri(parts: readonly (string | { readonly variable: string })[], data: Json): string {
  const source = isJsonObject(data) ? data : {};
  return parts
    .map((part) => (typeof part === 'string' ? part : encodeVariable(part.variable, getOwn(source, part.variable))))
    .join('');
}

function encodeVariable(name: string, value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'object') {
    throw flowError(
      'BLW_EXPR_FAILED',
      `{${name}} in a URI: got ${describeJsonType(value)}, expected text, a number or a boolean`,
    );
  }
  return percentEncode(String(value)).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function percentEncode(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw flowError('BLW_EXPR_FAILED', 'a variable in a URI holds half of a surrogate pair, which has no UTF-8 form', {
      cause,
    });
  }
}
