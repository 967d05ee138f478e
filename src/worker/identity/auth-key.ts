import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { flowError } from '../../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';

/** How tokens are sealed (RFC 7518, sections 4.6 and 5.3): to the workers' public key, which anybody may have. */
export const SEAL_ALGORITHM = 'ECDH-ES+A256KW';
export const SEAL_ENCRYPTION = 'A256GCM';

/** For HKDF (RFC 5869): the key that signs grants is no key of anything else. */
const GRANT_KEY_INFO = 'beamline grant v1';
const GRANT_KEY_BYTES = 32;

/** A key that the workers of one installation share. */
export interface AuthKey {
  /** SHA-256 thumbprint of the public key (RFC 7638). */
  readonly id: string;
  /** Opens sealed tokens. */
  readonly privateKey: CryptoKey;
  /** Signs grants. */
  readonly grantSecret: Buffer;
}

/** The public part: whoever has it can seal tokens, and nothing else. */
export interface SealKey {
  readonly id: string;
  readonly publicKey: CryptoKey;
}

/**
 * Reads the key of the workers (`--auth-key`): one private JWK, or a JWKS of several. The first one is for new grants, all of them
 * are accepted, so that a key can be replaced while flows run. Throws BLW_CONFIG.
 */
export async function readAuthKeys(file: string): Promise<readonly [AuthKey, ...AuthKey[]]> {
  const keys: AuthKey[] = [];
  for (const [index, jwk] of readKeySet(file, '--auth-key').entries()) {
    const { d } = jwk;
    if (d === undefined) throw wrongKey(file, '--auth-key', `key ${index + 1} is a public one, expected a private one`);
    const [id, privateKey] = await importKey(jwk, file, '--auth-key');
    const secret = hkdfSync('sha256', Buffer.from(d, 'base64url'), Buffer.alloc(0), GRANT_KEY_INFO, GRANT_KEY_BYTES);
    keys.push({ id, privateKey, grantSecret: Buffer.from(secret) });
  }
  const [first, ...rest] = keys;
  if (first === undefined) throw wrongKey(file, '--auth-key', 'there is no key in it');
  return [first, ...rest];
}

/** Whoever has it can make grants for any tenant. */
const SECRET_SEAL_KEY =
  'it is a secret key, which belongs to the workers alone (--auth-key); take the public one, seal-key.json, and where this one was given to clients make new ones with `beamline token keygen`';

/** Reads what clients seal tokens with (`--seal-key`): the public JWK, or a JWKS, of which the first one counts. Throws BLW_CONFIG. */
export async function readSealKey(file: string): Promise<SealKey> {
  const [jwk] = readKeySet(file, '--seal-key');
  if (jwk === undefined) throw wrongKey(file, '--seal-key', 'there is no key in it');
  if (jwk.d !== undefined) throw flowError('BLW_CONFIG', `--seal-key ${file}: ${SECRET_SEAL_KEY}`);
  const [id, publicKey] = await importKey(publicPart(jwk), file, '--seal-key');
  return { id, publicKey };
}

/** Makes a key: the private part for the workers, the public part for clients, each as a JWKS. */
export async function generateAuthKey(): Promise<{ id: string; privateSet: JsonObject; publicSet: JsonObject }> {
  const { privateKey } = await generateKeyPair(SEAL_ALGORITHM, { crv: 'P-256', extractable: true });
  const jwk = await exportJWK(privateKey);
  const id = await calculateJwkThumbprint(publicPart(jwk));
  const keySet = (key: JWK): JsonObject => ({
    keys: [{ ...(key as JsonObject), kid: id, use: 'enc', alg: SEAL_ALGORITHM }],
  });
  return { id, privateSet: keySet(jwk), publicSet: keySet(publicPart(jwk)) };
}

function publicPart({ kty, crv, x, y }: JWK): JWK {
  return { kty, crv, x, ...(y === undefined ? {} : { y }) } as JWK;
}

async function importKey(jwk: JWK, file: string, flag: string): Promise<[string, CryptoKey]> {
  const { kty, crv } = jwk;
  if (!(kty === 'EC' && crv === 'P-256') && !(kty === 'OKP' && crv === 'X25519')) {
    throw wrongKey(
      file,
      flag,
      `got a key of type ${String(kty)} ${String(crv ?? '')}, expected EC P-256 or OKP X25519`,
    );
  }
  try {
    const { kty: type, crv: curve, x, y, d } = jwk;
    const bare = { kty: type, crv: curve, x, ...(y && { y }), ...(d && { d }) } as JWK;
    return [await calculateJwkThumbprint(publicPart(jwk)), (await importJWK(bare, SEAL_ALGORITHM)) as CryptoKey];
  } catch (cause) {
    throw wrongKey(file, flag, 'the key in it is damaged', cause);
  }
}

function readKeySet(file: string, flag: string): readonly JWK[] {
  const value = readJson(file, flag);
  const keys = isJsonObject(value) && Array.isArray(value.keys) ? value.keys : [value];
  return keys.map((key) => {
    if (isJsonObject(key) && typeof key.kty === 'string') return key as unknown as JWK;
    throw wrongKey(file, flag, 'it is no JWK and no JWKS');
  });
}

function readJson(file: string, flag: string): Json {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw flowError('BLW_CONFIG', `${flag} ${file}: cannot be read (${code})`, { cause });
  }
  try {
    return JSON.parse(text) as Json;
  } catch {
    // Without its cause: the message of a parser quotes what it read.
    throw wrongKey(file, flag, 'it is not JSON');
  }
}

function wrongKey(file: string, flag: string, what: string, cause?: unknown): Error {
  const advice = 'make one with `beamline token keygen`';
  return flowError('BLW_CONFIG', `${flag} ${file}: ${what}; ${advice}`, cause === undefined ? {} : { cause });
}
