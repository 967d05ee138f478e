import { createHash } from 'node:crypto';
import { getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../dsl/json';
import type { SecretPath } from '../dsl/secrets';
import type { StepRequest } from '../dsl/step-request';
import type { Access } from './access/access';

/**
 * What tells a step's result from others, as a SHA-256 in hex: the tenant, the flow (in any version), the step's place in
 * it, the block, the key or else the arguments, and what the step may do: who has lost a scope gets nothing that was got with it. A
 * secret counts by its name: its placeholder is new each time.
 */
export function cacheDigest(blockType: string, request: StepRequest, access?: Access): string {
  const { tenant, flow, stepId, cache } = request;
  const subject = cache?.key === undefined ? { with: request.with } : { key: cache.key };
  const [name = ''] = flow.split(':', 1);
  const parts = [tenant, name, stepId, blockType, describeValues(subject, request)];
  if (access !== undefined) parts.push(JSON.stringify(access));
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Tells arguments from others, as a SHA-256 in hex. A secret counts by its name, so that a new value of it changes nothing. */
export function argumentsDigest(request: StepRequest): string {
  const parts = describeValues({ with: request.with }, request);
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

function describeValues(subject: JsonObject, { secrets }: StepRequest): (string | SecretPath)[] {
  const text = JSON.stringify(sortKeys({ ...subject, policies: (secrets?.policies ?? []) as unknown as Json }));
  return nameSecrets(text, secrets?.placeholders ?? []);
}

/** Equal values are equal text, in whatever order they were put together. */
function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isJsonObject(value)) return value;
  const sorted: JsonObject = {};
  for (const key of Object.keys(value).sort()) setOwn(sorted, key, sortKeys(getOwn(value, key) ?? null));
  return sorted;
}

/** The text in pieces, with a secret's path between two where its placeholder was: no text can be taken for one. */
function nameSecrets(
  text: string,
  placeholders: readonly { readonly text: string; readonly path: SecretPath }[],
): (string | SecretPath)[] {
  let pieces: (string | SecretPath)[] = [text];
  for (const { text: placeholder, path } of placeholders) {
    pieces = pieces.flatMap((piece) =>
      typeof piece === 'string'
        ? piece.split(placeholder).flatMap((part, index) => (index === 0 ? [part] : [path, part]))
        : [piece],
    );
  }
  return pieces;
}
