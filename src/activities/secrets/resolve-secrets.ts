import { findScheme } from '../../dsl/blocks/authentication';
import { getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { type SecretPath, type SecretPolicy, type StepSecrets, secretText } from '../../dsl/secrets';
import { notRetryable } from '../block-failure';
import type { SecretStore } from '../ports/secret-store';
import type { Mask } from './mask';

/** Properties of policies that name things in public: masking them would blank out common words in every result. */
const PUBLIC_PROPERTIES = ['authority', 'endpoints', 'grant', 'request', 'issuers', 'scopes', 'audiences'];

interface Access {
  readonly store: SecretStore;
  readonly tenant: string;
  /** Learns every value that is put in. */
  readonly mask: Mask;
}

/**
 * A step's arguments with its secrets put in: for placeholders that the step itself was given, nowhere else, and as
 * properties of authentications. Throws BLW_SECRET_UNAVAILABLE (not retryable).
 */
export async function resolveSecrets(args: JsonObject, secrets: StepSecrets, access: Access): Promise<JsonObject> {
  let resolved = args;
  const { placeholders = [], policies = [] } = secrets;
  for (const { at, name } of policies) {
    resolved = replaceAt(resolved, at, await policyOf({ at, name }, access));
  }
  if (placeholders.length === 0) return resolved;
  const values = new Map<string, Json>();
  const written = JSON.stringify(args);
  for (const { text, path } of placeholders) {
    // One that is not in the arguments after all (in a branch not taken) need not exist.
    if (!written.includes(text)) continue;
    const value = await valueAt(path, access);
    access.mask.addAll(value);
    values.set(text, value);
  }
  return fill(resolved, values) as JsonObject;
}

async function valueAt(path: SecretPath, access: Access): Promise<Json> {
  const [name = '', ...keys] = path;
  let value = await secretOf(name, access);
  for (const [index, key] of keys.entries()) {
    const inner = isJsonObject(value) ? getOwn(value, key) : undefined;
    if (inner === undefined) {
      const got = isJsonObject(value) ? `no key "${key}"` : 'no JSON object';
      const detail = `${secretText(path)}: ${secretText(path.slice(0, index + 1))} has ${got}, expected one with that key`;
      throw notRetryable('BLW_SECRET_UNAVAILABLE', detail);
    }
    value = inner;
  }
  return value;
}

async function secretOf(name: string, { store, tenant }: Access): Promise<Json> {
  const value = await store.get(name, tenant);
  if (value !== undefined) return value;
  const detail = `secret "${name}": the worker has none of that name for the tenant "${tenant}"; give it with --secret ${name}=env:VARIABLE or ${name}=file:PATH, or in the folder of --secret-folder`;
  throw notRetryable('BLW_SECRET_UNAVAILABLE', detail);
}

/** The properties of a scheme, of a secret that has them; a secret that is text is the token of a bearer. */
async function policyOf({ at, name }: SecretPolicy, access: Access): Promise<JsonObject> {
  const scheme = at.at(-1) ?? '';
  const value = await secretOf(name, access);
  const properties = scheme === 'bearer' && typeof value === 'string' ? { token: value } : value;
  if (!isJsonObject(properties)) {
    access.mask.addAll(properties);
    const keys = findScheme(scheme)?.required.join(', ');
    const detail = `secret "${name}": got text, expected a JSON object with the properties of ${scheme} (${keys})`;
    throw notRetryable('BLW_SECRET_UNAVAILABLE', detail);
  }
  const known = Object.keys(findScheme(scheme)?.properties ?? {});
  const policy: JsonObject = {};
  for (const [key, item] of Object.entries(properties)) {
    if (!PUBLIC_PROPERTIES.includes(key)) access.mask.addAll(withoutPublicWords(item));
    // Stores add keys of their own.
    if (known.includes(key)) setOwn(policy, key, item);
  }
  if (scheme === 'basic') {
    access.mask.add(Buffer.from(`${String(policy.username)}:${String(policy.password)}`).toString('base64'));
  }
  return policy;
}

/** `client.authentication`, and the `type` of a token, are words of the protocol. */
function withoutPublicWords(value: Json): Json {
  if (!isJsonObject(value)) return value;
  const { authentication: _, type: __, ...rest } = value;
  return rest;
}

function replaceAt(object: JsonObject, [key = '', ...rest]: readonly string[], value: Json): JsonObject {
  const inner = getOwn(object, key);
  const replaced = rest.length === 0 ? value : replaceAt(isJsonObject(inner) ? inner : {}, rest, value);
  return { ...object, [key]: replaced };
}

/** A text that is a placeholder becomes the value; inside of a longer text, text stays text and all else is JSON. */
function fill(value: Json, values: ReadonlyMap<string, Json>): Json {
  if (typeof value === 'string') return values.get(value) ?? fillText(value, values);
  if (Array.isArray(value)) return value.map((item) => fill(item, values));
  if (!isJsonObject(value)) return value;
  const filled: JsonObject = {};
  for (const [key, item] of Object.entries(value)) setOwn(filled, fillText(key, values), fill(item, values));
  return filled;
}

function fillText(text: string, values: ReadonlyMap<string, Json>): string {
  let filled = text;
  for (const [placeholder, value] of values) {
    filled = filled.replaceAll(placeholder, () => (typeof value === 'string' ? value : JSON.stringify(value)));
  }
  return filled;
}
