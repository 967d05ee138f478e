import { createHash } from 'node:crypto';
import { AttemptPorts } from '../attempt-ports';
import type { BlockContext } from '../block';
import type { HttpClient } from '../ports/http-client';
import type { OAuth2Policy } from './authentication';
import { type AccessToken, fetchToken } from './oauth2-token';

/** Tokens that are kept at a time; the oldest goes first. */
const MAX_TOKENS = 1_000;
/** How long before its end a token is renewed, at most; a tenth of a short life. */
const RENEW_BEFORE_MS = 30_000;
/** Life of a token whose server names none: short, and a 401 renews it in any case. */
const DEFAULT_LIFETIME_MS = 60_000;

interface KeptToken {
  readonly token: string;
  readonly refreshToken: string | undefined;
  /** Milliseconds since 1970. */
  readonly renewAt: number;
}

/** Tokens of a worker's process, by who may use them. */
class TokenCache {
  readonly #kept = new Map<string, KeptToken>();
  readonly #pending = new Map<string, Promise<AccessToken>>();

  find(key: string): KeptToken | undefined {
    return this.#kept.get(key);
  }

  /** Gets a token, once for all steps that ask at the same time. */
  async fetch(key: string, fetch: () => Promise<AccessToken>): Promise<string> {
    const pending = this.#pending.get(key);
    if (pending !== undefined) {
      // Another step may fail for reasons of its own, such as its cancellation.
      const shared = await pending.catch(() => undefined);
      if (shared !== undefined) return shared.token;
    }
    const fetching = fetch();
    this.#pending.set(key, fetching);
    try {
      const token = await fetching;
      this.#keep(key, token);
      return token.token;
    } finally {
      if (this.#pending.get(key) === fetching) this.#pending.delete(key);
    }
  }

  #keep(key: string, { token, refreshToken, lifetimeMs = DEFAULT_LIFETIME_MS }: AccessToken): void {
    this.#kept.delete(key);
    const renewAt = Date.now() + lifetimeMs - Math.min(RENEW_BEFORE_MS, lifetimeMs / 10);
    this.#kept.set(key, { token, refreshToken, renewAt });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_TOKENS && oldest !== undefined) this.#kept.delete(oldest);
  }
}

/** A worker's tokens live as long as the client through which they were got. */
const caches = new WeakMap<HttpClient, TokenCache>();

function cacheOf(client: HttpClient): TokenCache {
  let cache = caches.get(client);
  if (cache === undefined) {
    cache = new TokenCache();
    caches.set(client, cache);
  }
  return cache;
}

/** A token, and whether it was kept from an earlier call. */
export interface ObtainedToken {
  readonly token: string;
  readonly isKept: boolean;
}

/**
 * A token for a policy, kept until shortly before its end; `refused` is one that the service did not take. Kept by tenant and
 * the whole policy, credentials included, so nobody gets a token that was got with others. Throws as {@link fetchToken}.
 */
export async function obtainToken(
  scheme: 'oauth2' | 'oidc',
  policy: OAuth2Policy,
  context: BlockContext,
  options: { readonly signal: AbortSignal; readonly refused?: string },
): Promise<ObtainedToken> {
  const { signal, refused } = options;
  const cache = cacheOf(AttemptPorts.clientOf(context.ports));
  const key = createHash('sha256')
    .update(JSON.stringify([context.step.tenant, scheme, policy]))
    .digest('hex');
  const kept = cache.find(key);
  if (kept !== undefined && kept.token !== refused && Date.now() < kept.renewAt) {
    context.conceal?.(kept.token);
    return { token: kept.token, isKept: true };
  }
  const token = await cache.fetch(key, () => fetchToken(scheme, rotated(policy, kept), context, signal));
  context.conceal?.(token);
  return { token, isKept: false };
}

/** A server may replace the refresh token with every use (RFC 6749 section 6); the document's is then void. */
function rotated(policy: OAuth2Policy, kept: KeptToken | undefined): OAuth2Policy {
  const { grant, subject } = policy;
  if (grant !== 'refresh_token' || kept?.refreshToken === undefined || subject === undefined) return policy;
  return { ...policy, subject: { ...subject, token: kept.refreshToken } };
}
