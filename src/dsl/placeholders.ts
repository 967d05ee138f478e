import { getOwn, isJsonObject, isSameJson, type Json, type JsonObject, setOwn } from './json';
import type { TaskPlan } from './planning/plan';
import type { SecretPath, StepSecrets } from './secrets';

/** What every placeholder begins with. */
export const PLACEHOLDER_PREFIX = 'blw-secret-';
const PLACEHOLDER = /blw-secret-[0-9a-f-]{36}-(\d+)-/g;

/**
 * Placeholders for the secrets of a task: the variable `secrets` that has them, and what its activity is to replace. Their
 * values are never in a workflow. A placeholder is new for every run of a task, so that none that got out comes back in: `uuid` makes
 * it so.
 */
export function placeSecrets(
  task: TaskPlan,
  uuid: () => string,
): { secrets?: StepSecrets; variables?: { readonly secrets: JsonObject } } {
  if (task.kind !== 'call' || task.secrets === undefined) return {};
  const { paths, policies } = task.secrets;
  const named = policies === undefined ? {} : { policies };
  if (paths === undefined) return { secrets: named };
  const nonce = uuid();
  const placeholders = paths.map((path, index) => ({ text: `${PLACEHOLDER_PREFIX}${nonce}-${index}-`, path }));
  const variable: JsonObject = {};
  for (const { text, path } of placeholders) setPath(variable, path, text);
  return { secrets: { placeholders, ...named }, variables: { secrets: variable } };
}

function setPath(target: JsonObject, [key = '', ...rest]: SecretPath, text: string): void {
  if (rest.length === 0) {
    setOwn(target, key, text);
    return;
  }
  const existing = getOwn(target, key);
  const inner = isJsonObject(existing) ? existing : {};
  setOwn(target, key, inner);
  setPath(inner, rest, text);
}

/** True where both are the same but for placeholders, which are others for each run of a task. */
export function isSameButPlaceholders(left: Json, right: Json): boolean {
  return isSameJson(withSameNonce(left), withSameNonce(right));
}

function withSameNonce(value: Json): Json {
  return JSON.parse(JSON.stringify(value).replace(PLACEHOLDER, `${PLACEHOLDER_PREFIX}$1-`)) as Json;
}

/** Text for people: a placeholder says nothing to them. */
export function withoutPlaceholders(text: string): string {
  return text.replace(PLACEHOLDER, '***');
}
