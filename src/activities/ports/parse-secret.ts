import { isJsonObject, type Json } from '../../dsl/json';

/** A secret's value: a JSON object where it is one, else text without the line end that editors put at the end of a file. */
export function parseSecret(source: string): Json {
  const text = source.replace(/\r?\n$/, '');
  if (!text.trimStart().startsWith('{')) return text;
  try {
    const value = JSON.parse(text) as Json;
    return isJsonObject(value) ? value : text;
  } catch {
    return text;
  }
}
