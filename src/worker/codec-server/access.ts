import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { FlowError, flowError } from '../../dsl/errors';
import { TokenVerifier } from '../identity/token-verifier';
import type { PolicySource } from '../policy/policy';

/** Says who calls the codec server. Tokens of other kinds come in as another one of these. */
export interface CodecAccess {
  /** Undefined: nobody who is known; the answer is 401. Throws BLW_IDENTITY_UNAVAILABLE where nobody can be known just now. */
  identify(headers: IncomingHttpHeaders): Promise<CodecCaller | undefined>;
}

/** Somebody who calls the codec server. */
export interface CodecCaller {
  /** True where he may read and write what is encrypted for that tenant; undefined: data that is nobody's in particular. */
  mayUse(tenant: string | undefined): boolean;
}

const ANYBODY: CodecCaller = { mayUse: () => true };

/** Everybody who reaches the server may use it for all tenants: on loopback only. */
export const OPEN_ACCESS: CodecAccess = { identify: async () => ANYBODY };

const BEARER = /^Bearer +(\S+)$/i;
const MIN_TOKEN_LENGTH = 16;

/**
 * One token, for all tenants: `Authorization: Bearer …`. Throws BLW_CONFIG where the file cannot be read or has no token that is
 * long enough.
 */
export function tokenAccess(file: string): CodecAccess {
  let token: string;
  try {
    token = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw flowError('BLW_CONFIG', `--token-file ${file}: cannot be read (${reason})`, { cause });
  }
  if (token.length < MIN_TOKEN_LENGTH || /\s/.test(token)) {
    throw flowError('BLW_CONFIG', `--token-file ${file}: expected one token of ${MIN_TOKEN_LENGTH} characters or more`);
  }
  const expected = digest(token);
  return {
    identify: async ({ authorization = '' }) => {
      const [, given = ''] = BEARER.exec(authorization) ?? [];
      // Digests, since the comparison needs equal lengths, and that of the token is not to be found out either.
      return timingSafeEqual(digest(given), expected) ? ANYBODY : undefined;
    },
  };
}

/** Tokens of the policy's identity provider: who has one may use what is his tenant's, as long as the policy has that tenant. */
export function identityAccess(policy: PolicySource, warn: (message: string) => void): CodecAccess {
  const verifier = new TokenVerifier(() => policy.current()?.identity, warn);
  return {
    identify: async ({ authorization = '' }) => {
      const [, given] = BEARER.exec(authorization) ?? [];
      if (given === undefined) return undefined;
      const holder = await verifier.verify(given, new Date()).catch((error: unknown) => {
        if (error instanceof FlowError && error.data.code === 'BLW_TOKEN_INVALID') return undefined;
        throw error;
      });
      if (holder === undefined || policy.current()?.tenants.has(holder.tenant) !== true) return undefined;
      return { mayUse: (tenant) => tenant === holder.tenant };
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
