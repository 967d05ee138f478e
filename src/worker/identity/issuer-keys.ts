import { readFile, stat } from 'node:fs/promises';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { request } from 'undici';
import { retryable } from '../../activities/block-failure';
import { messageOf } from '../../dsl/errors';
import { isJsonObject, type Json } from '../../dsl/json';
import type { IdentityPolicy } from '../policy/policy';

/** Most bytes of a key set, and most keys: issuers have a handful. */
const MAX_BYTES = 262_144;
const MAX_KEYS = 200;

/** Longest wait for an issuer: less than a flow's preparation may take. */
const FETCH_TIMEOUT_MS = 5_000;

/** How old fetched keys get before they are fetched again, and before they are not used any more. */
const MAX_AGE_MS = 600_000;
const MAX_STALE_MS = 86_400_000;

/** Between two fetches at least: neither an outage nor tokens with made-up key ids make a flood of requests. */
const COOLDOWN_MS = 30_000;
/** As long as there are no keys at all. */
const FIRST_COOLDOWN_MS = 1_000;

interface Loaded {
  readonly find: JWTVerifyGetKey;
  /** Of the content, where it is a file. */
  readonly version?: string;
  readonly at: number;
}

/**
 * The public keys of an issuer of tokens (JWKS, RFC 7517), from a file, read again when it changes, or from an address, fetched
 * again every 10 minutes and when a token names a key that is not known. Keys that cannot be had again go on to be used for a day.
 */
export class IssuerKeys {
  #loaded: Loaded | undefined;
  #loading: Promise<void> | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;

  constructor(
    private readonly source: IdentityPolicy['jwks'],
    private readonly warn: (message: string) => void,
    private readonly now: () => number = () => Date.now(),
  ) {}

  /** For jose. Rejects with BLW_IDENTITY_UNAVAILABLE where there are no keys to be had. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    await this.#refresh(false);
    try {
      return await this.#current().find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    // The issuer may have new keys.
    await this.#refresh(true);
    return await this.#current().find(header, token);
  };

  #current(): Loaded {
    const loaded = this.#loaded;
    if (loaded !== undefined && this.now() - loaded.at < MAX_STALE_MS) return loaded;
    throw retryable('BLW_IDENTITY_UNAVAILABLE', `the keys of the token's issuer cannot be had (${this.#place()})`, {
      cause: this.#failure,
    });
  }

  /** Never rejects: what it could not get shows in {@link #current}. Nobody waits for an issuer whose keys are there. */
  async #refresh(isKeyUnknown: boolean): Promise<void> {
    if (this.#isDue(isKeyUnknown)) this.#loading ??= this.#load();
    if (isKeyUnknown || this.#loaded === undefined || 'file' in this.source) await this.#loading;
  }

  #isDue(isKeyUnknown: boolean): boolean {
    if ('file' in this.source) return true;
    const isOld = this.#loaded === undefined || this.now() - this.#loaded.at > MAX_AGE_MS;
    const cooldownMs = this.#loaded === undefined ? FIRST_COOLDOWN_MS : COOLDOWN_MS;
    return (isOld || isKeyUnknown) && this.now() - this.#triedAt > cooldownMs;
  }

  async #load(): Promise<void> {
    this.#triedAt = this.now();
    try {
      this.#loaded = 'file' in this.source ? await this.#read(this.source.file) : await this.#fetch(this.source.url);
      this.#failure = undefined;
    } catch (error) {
      const reason = messageOf(error);
      const isNew = this.#failure === undefined;
      this.#failure = error;
      if (isNew) this.warn(`the keys of the token's issuer cannot be had (${this.#place()}): ${reason}`);
    } finally {
      this.#loading = undefined;
    }
  }

  async #read(file: string): Promise<Loaded> {
    const { mtimeMs, size, ino } = await stat(file);
    const version = `${ino} ${mtimeMs} ${size}`;
    if (this.#loaded?.version === version) return { ...this.#loaded, at: this.now() };
    return { find: createLocalJWKSet(await readKeySet(file, size)), version, at: this.now() };
  }

  async #fetch(url: string): Promise<Loaded> {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    // It follows no redirects.
    const { statusCode, body } = await request(url, { signal, headers: { accept: 'application/json' } });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      // Leaving the loop ends the connection.
      if (size > MAX_BYTES) throw new Error(`the answer has more than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    if (statusCode !== 200) throw new Error(`got status ${statusCode}, expected 200`);
    return { find: createLocalJWKSet(parseKeySet(Buffer.concat(chunks).toString('utf8'))), at: this.now() };
  }

  #place(): string {
    return placeOf(this.source);
  }
}

function placeOf(source: IdentityPolicy['jwks']): string {
  return 'file' in source ? source.file : source.url;
}

async function readKeySet(file: string, size: number): Promise<JSONWebKeySet> {
  if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, expected at most ${MAX_BYTES}`);
  return parseKeySet(await readFile(file, 'utf8'));
}

/**
 * Why no token could be verified with the keys in the policy's file, in a sentence; undefined where nothing is wrong, and where they
 * are at an address, which is not called. Never rejects.
 */
export async function explainKeyFile({ jwks }: IdentityPolicy): Promise<string | undefined> {
  const problem = 'file' in jwks ? await problemOf(jwks.file) : undefined;
  return problem && `no token can be verified with the keys in ${placeOf(jwks)}: ${problem}`;
}

async function problemOf(file: string): Promise<string | undefined> {
  try {
    const { keys } = await readKeySet(file, (await stat(file)).size);
    return keys.length === 0 ? 'there is no public key in it' : undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'there is no such file';
    // The message of a parser quotes what it read.
    return error instanceof SyntaxError ? 'it is not JSON' : (code ?? message);
  }
}

/** Public keys only: a secret one in the set would make tokens that anybody who reads the set can sign. */
function parseKeySet(text: string): JSONWebKeySet {
  const value = JSON.parse(text) as Json;
  if (!isJsonObject(value) || !Array.isArray(value.keys)) throw new Error('expected a JWKS, {"keys": […]}');
  if (value.keys.length > MAX_KEYS) throw new Error(`it has ${value.keys.length} keys, expected at most ${MAX_KEYS}`);
  const keys = value.keys.filter((key) => isJsonObject(key) && key.kty !== 'oct');
  return { keys } as unknown as JSONWebKeySet;
}
