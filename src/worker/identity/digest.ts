import { createHash } from 'node:crypto';
import { getOwn, isJsonObject, type Json } from '../../dsl/json';

/** What a token is sealed for, or a deployment granted for. */
type Purpose = 'start' | 'decide' | 'resolve' | 'deploy' | 'flow' | 'input';

/**
 * SHA-256, in base64url, of a value as canonical JSON: keys in order, no blanks, what is absent left out (after RFC 8785). Equal
 * values have the same digest, however they were written; two purposes never share one.
 */
export function digestOf(purpose: Purpose, value: unknown): string {
  const hash = createHash('sha256').update(`beamline ${purpose}\0`);
  update(hash, value as Json);
  return hash.digest('base64url');
}

/** In pieces: a flow's input may have 100 MiB. */
function update(hash: ReturnType<typeof createHash>, value: Json): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      hash.update(index === 0 ? '[' : ',');
      update(hash, item ?? null);
    });
    hash.update(value.length === 0 ? '[]' : ']');
  } else if (isJsonObject(value)) {
    const keys = Object.keys(value).filter((key) => getOwn(value, key) !== undefined);
    keys.sort().forEach((key, index) => {
      hash.update(`${index === 0 ? '{' : ','}${JSON.stringify(key)}:`);
      update(hash, getOwn(value, key) ?? null);
    });
    hash.update(keys.length === 0 ? '{}' : '}');
  } else {
    hash.update(JSON.stringify(value ?? null));
  }
}
