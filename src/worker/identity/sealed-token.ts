import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { notRetryable } from '../../activities/block-failure';
import type { DecisionInput } from '../../dsl/approval';
import type { DeadLetter, Resolution } from '../../dsl/dead-letter';
import { isJsonObject, type Json } from '../../dsl/json';
import { type AuthKey, SEAL_ALGORITHM, SEAL_ENCRYPTION, type SealKey } from './auth-key';
import { digestOf } from './digest';

/** Where a sealed token is to be shown. */
export interface SealPlace {
  /** Name of the Temporal namespace: workers of several may have the same key. */
  readonly namespace: string;
  readonly workflowId: string;
}

/** What a token is good for, once it is sealed: one thing under one workflow id of one namespace. */
export interface SealPurpose {
  readonly namespace: string;
  /** Workflow id. */
  readonly for: string;
  readonly digest: string;
}

/** To start one flow, with one input, for one tenant; one for a dry run is good for nothing else. */
export function startPurpose(
  place: SealPlace,
  {
    flow,
    input,
    tenant,
    mode,
  }: { flow: unknown; input: unknown; tenant: string | undefined; mode?: unknown | undefined },
): SealPurpose {
  const said = { flow, input: input ?? null, tenant: tenant ?? null };
  return purposeOf(place, digestOf('start', mode === 'dry-run' ? { ...said, mode } : said));
}

/** To decide one way in one run of an approval: an approval that asks again does so under the same workflow id. */
export function decisionPurpose(
  { runId, ...place }: SealPlace & { runId: string },
  { decision, comment, form }: Pick<DecisionInput, 'decision' | 'comment' | 'form'>,
): SealPurpose {
  const said = { run: runId, decision, comment: comment ?? null, form: form ?? null };
  return purposeOf(place, digestOf('decide', said));
}

/**
 * To resolve a dead letter one way, in one run of a flow. When the step failed is part of it: one that fails again has the same id, and
 * what was said of it before does not count once more.
 */
export function resolutionPurpose(
  { runId, ...place }: SealPlace & { runId: string },
  { id, failedAt }: Pick<DeadLetter, 'id' | 'failedAt'>,
  { action, with: patch, input, output, comment }: Omit<Resolution, 'id' | 'by' | 'token'>,
): SealPurpose {
  // In lists: null is a value here, and nothing is not.
  const [withs, inputs, outputs] = [patch, input, output].map((value) => (value === undefined ? [] : [value]));
  const said = { run: runId, id, failedAt, action, withs, inputs, outputs, comment: comment ?? null };
  return purposeOf(place, digestOf('resolve', said));
}

/** To let one flow run by itself. The place is the workflow which checks the token. */
export function deploymentPurpose(place: SealPlace, request: object): SealPurpose {
  return purposeOf(place, digestOf('deploy', request));
}

function purposeOf({ namespace, workflowId }: SealPlace, digest: string): SealPurpose {
  return { namespace, for: workflowId, digest };
}

/** Encrypts a token for the workers (JWE compact, RFC 7516). */
export async function sealToken(token: string, purpose: SealPurpose, { id, publicKey }: SealKey): Promise<string> {
  return await new CompactEncrypt(Buffer.from(JSON.stringify({ token, ...purpose })))
    .setProtectedHeader({ alg: SEAL_ALGORITHM, enc: SEAL_ENCRYPTION, kid: id })
    .encrypt(publicKey);
}

/** True for three parts with dots between them: a token as the issuer gave it. */
export function isPlainToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text.trim());
}

/** The token that was sealed. Throws BLW_TOKEN_INVALID where it cannot be opened, or was sealed for something else. */
export async function openToken(sealed: string, purpose: SealPurpose, keys: readonly AuthKey[]): Promise<string> {
  if (isPlainToken(sealed)) {
    throw invalid(
      'it is a plain token, which everybody can read in the history now: revoke it, and seal the next one with `beamline token seal`',
    );
  }
  const { token, namespace, for: workflowId, digest } = await decrypt(sealed, keys);
  if (typeof token !== 'string') throw invalid('there is no token in it');
  if (namespace === undefined) {
    throw invalid('it was sealed by an earlier version, for no Temporal namespace; seal it again with this one');
  }
  if (namespace !== purpose.namespace) {
    throw invalid('it was sealed for another Temporal namespace; seal it with the --namespace of these workers');
  }
  if (workflowId !== purpose.for) throw invalid('it was sealed for another workflow id; seal it for this one');
  if (digest !== purpose.digest) {
    throw invalid(
      'it was sealed for something else under this workflow id (flow, input, tenant, mode, decision, resolution or run differ)',
    );
  }
  return token;
}

async function decrypt(sealed: string, keys: readonly AuthKey[]): Promise<Record<string, Json | undefined>> {
  const keyId = keyIdOf(sealed);
  const key = keys.find(({ id }) => id === keyId);
  if (key === undefined)
    throw invalid('it was sealed with a key that the workers do not have; get their present public key');
  try {
    const { plaintext } = await compactDecrypt(sealed, key.privateKey, {
      keyManagementAlgorithms: [SEAL_ALGORITHM],
      contentEncryptionAlgorithms: [SEAL_ENCRYPTION],
      maxDecompressedLength: 0,
    });
    const content = JSON.parse(Buffer.from(plaintext).toString('utf8')) as Json;
    if (isJsonObject(content)) return content;
  } catch {
    // Whatever is wrong with it: the difference would only help whoever forges.
  }
  throw invalid('it cannot be opened: damaged, or not sealed by `beamline`');
}

function keyIdOf(sealed: string): string | undefined {
  try {
    return decodeProtectedHeader(sealed).kid;
  } catch {
    throw invalid('it is not a sealed token; use `beamline token seal`, or `beamline run --token-file`');
  }
}

function invalid(detail: string): Error {
  return notRetryable('BLW_TOKEN_INVALID', `token: ${detail}`);
}
