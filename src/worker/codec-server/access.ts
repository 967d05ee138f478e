import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { flowError } from '../../dsl/errors';

/** Says who calls the codec server. Tokens of other kinds come in as another one of these. */
export interface CodecAccess {
  /** Undefined: nobody who is known; the answer is 401. Never throws for what was sent. */
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
      const [, given = ''] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
      // Digests, since the comparison needs equal lengths, and that of the token is not to be found out either.
      return timingSafeEqual(digest(given), expected) ? ANYBODY : undefined;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
