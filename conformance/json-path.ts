import { getOwn, isJsonObject, type Json } from '../src/dsl/json';

/** Value at a path of names and indexes (`error.status`, `pets.0.name`, `pets[0].name`); undefined where there is none. */
export function valueAt(value: Json, path: string): Json | undefined {
  let current: Json | undefined = value;
  for (const segment of path.replace(/\[(\d+)\]/g, '.$1').split('.')) {
    if (Array.isArray(current)) current = /^\d+$/.test(segment) ? current[Number(segment)] : undefined;
    else current = isJsonObject(current) ? getOwn(current, segment) : undefined;
  }
  return current;
}
