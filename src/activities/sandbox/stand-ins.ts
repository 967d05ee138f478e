import { findScheme } from '../../dsl/blocks/authentication';
import { generateValue } from '../../dsl/dry-run/generate-value';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import type { SecretPolicy } from '../../dsl/secrets';
import type { SecretStore } from '../ports/secret-store';
import type { ResolveSecrets } from '../step-activities';

/** What stands for the value of a secret. */
export const STAND_IN = '***';

/** Has no secret and tells of none: what is asked here is only whether the name may be used (scopeSecrets). */
export const NO_SECRETS: SecretStore = { get: async () => undefined };

/**
 * A step's arguments with `***` in the place of its secrets: none is read. Throws BLW_SCOPE_DENIED for one that the step may not use.
 */
export const resolveStandIns: ResolveSecrets = async (
  args,
  { placeholders = [], policies = [] },
  { store, tenant },
) => {
  const written = JSON.stringify(args);
  const texts = placeholders.filter(({ text }) => written.includes(text));
  const names = new Set([...texts.map(({ path: [name = ''] }) => name), ...policies.map(({ name }) => name)]);
  for (const name of names) await store.get(name, tenant);
  let resolved = fill(
    args,
    texts.map(({ text }) => text),
  ) as JsonObject;
  for (const policy of policies) resolved = withPolicy(resolved, policy.at, policy);
  return resolved;
};

function fill(value: Json, placeholders: readonly string[]): Json {
  if (typeof value === 'string') return placeholders.reduce((text, name) => text.replaceAll(name, STAND_IN), value);
  if (Array.isArray(value)) return value.map((item) => fill(item, placeholders));
  if (!isJsonObject(value)) return value;
  const filled: JsonObject = {};
  for (const [key, item] of Object.entries(value))
    setOwn(filled, fill(key, placeholders) as string, fill(item, placeholders));
  return filled;
}

function withPolicy(object: JsonObject, [key = '', ...rest]: readonly string[], policy: SecretPolicy): JsonObject {
  const inner = object[key];
  const value = rest.length === 0 ? standInFor(policy) : withPolicy(isJsonObject(inner) ? inner : {}, rest, policy);
  return { ...object, [key]: value };
}

/** Properties of a scheme, as the secret would have them. */
function standInFor({ at }: SecretPolicy): JsonObject {
  const { required = [], properties = {} } = findScheme(at.at(-1) ?? '') ?? {};
  const made: JsonObject = {};
  for (const name of required) setOwn(made, name, generateValue(properties[name]) || STAND_IN);
  return made;
}
