import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { FlowError, flowError } from '../../dsl/errors';
import { TokenVerifier } from '../identity/token-verifier';
import type { PolicySource } from '../policy/policy';
import { callerUnknown } from './refusal';

/** Says who calls the codec server. Tokens of other kinds come in as another one of these. */
export interface CodecAccess {
  /** Throws a {@link Refusal}, 401, where nobody who is known calls, and BLW_IDENTITY_UNAVAILABLE where nobody can be known just now. */
  identify(headers: IncomingHttpHeaders): Promise<CodecCaller>;
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
      const given = tokenIn(authorization);
      // Digests, since the comparison needs equal lengths, and that of the token is not to be found out either.
      if (timingSafeEqual(digest(given), expected)) return ANYBODY;
      throw callerUnknown('BLW_TOKEN_INVALID', 'the token is not the one in --token-file');
    },
  };
}

/** Tokens of the policy's identity provider: who has one may use what is his tenant's, as long as the policy has that tenant. */
export function identityAccess(policy: PolicySource, warn: (message: string) => void): CodecAccess {
  const verifier = new TokenVerifier(() => policy.current()?.identity, warn);
  return {
    identify: async ({ authorization = '' }) => {
      const holder = await verifier.verify(tokenIn(authorization), new Date()).catch((error: unknown) => {
        if (!(error instanceof FlowError) || error.data.code !== 'BLW_TOKEN_INVALID') throw error;
        throw callerUnknown('BLW_TOKEN_INVALID', error.message);
      });
      if (policy.current()?.tenants.has(holder.tenant) !== true) {
        throw callerUnknown('BLW_TOKEN_INVALID', "the policy does not have the token's tenant");
      }
      return { mayUse: (tenant) => tenant === holder.tenant };
    },
  };
}

function tokenIn(authorization: string): string {
  const [, token] = BEARER.exec(authorization) ?? [];
  if (token !== undefined) return token;
  throw callerUnknown('BLW_TOKEN_REQUIRED', 'there is no token in the request');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
