import { createHash, randomBytes } from 'node:crypto';
import type { PasswordCredentials } from './authentication';
import { parseChallenges } from './challenges';

/** Algorithms of RFC 7616 section 6.1, the strongest first. */
const ALGORITHMS: readonly (readonly [name: string, hash: string])[] = [
  ['SHA-512-256', 'sha512-256'],
  ['SHA-256', 'sha256'],
  ['MD5', 'md5'],
];

/** A server's challenge, with all that an answer needs. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** As the server wrote it; absent: MD5. */
  readonly algorithm: string | undefined;
  /** Name of the hash in node:crypto. */
  readonly hash: string;
  readonly isSession: boolean;
  /** False for servers of before RFC 2617. */
  readonly hasQop: boolean;
  readonly hashesUsername: boolean;
}

/** The strongest digest challenge of a `WWW-Authenticate` header that can be answered; undefined where there is none. */
export function findDigestChallenge(header: string | undefined): DigestChallenge | undefined {
  const challenges = parseChallenges(header ?? '').filter(({ scheme }) => scheme === 'digest');
  for (const [name, hash] of ALGORITHMS) {
    for (const { parameters } of challenges) {
      const challenge = toChallenge(parameters, name, hash);
      if (challenge !== undefined) return challenge;
    }
  }
  return undefined;
}

function toChallenge(parameters: ReadonlyMap<string, string>, name: string, hash: string): DigestChallenge | undefined {
  const algorithm = parameters.get('algorithm');
  const isSession = algorithm?.toUpperCase() === `${name}-SESS`;
  if ((algorithm ?? 'MD5').toUpperCase() !== name && !isSession) return undefined;
  const nonce = parameters.get('nonce');
  const qop = parameters
    .get('qop')
    ?.split(',')
    .map((option) => option.trim().toLowerCase());
  // Only `auth-int`: the body is hashed as well, which hardly any server asks for.
  if (nonce === undefined || (qop !== undefined && !qop.includes('auth'))) return undefined;
  return {
    realm: parameters.get('realm') ?? '',
    nonce,
    opaque: parameters.get('opaque'),
    algorithm,
    hash,
    isSession,
    hasQop: qop !== undefined,
    hashesUsername: parameters.get('userhash')?.toLowerCase() === 'true',
  };
}

/** The request that is authenticated, and how often the challenge's nonce has been used, this time included. */
export interface DigestTarget {
  readonly method: string;
  readonly url: URL;
  readonly nonceCount: number;
}

/** The header `Authorization` that answers a challenge (RFC 7616 section 3.4), with qop `auth` where the server has it. */
export function digestAuthorization(
  challenge: DigestChallenge,
  { username, password }: PasswordCredentials,
  { method, url, nonceCount }: DigestTarget,
): string {
  const { realm, nonce, opaque, algorithm, isSession, hasQop, hashesUsername } = challenge;
  const hash = (text: string) => createHash(challenge.hash).update(text).digest('hex');
  const uri = `${url.pathname}${url.search}`;
  const cnonce = randomBytes(16).toString('hex');
  const nc = nonceCount.toString(16).padStart(8, '0');
  const secret = hash(`${username}:${realm}:${password}`);
  const first = isSession ? hash(`${secret}:${nonce}:${cnonce}`) : secret;
  const second = hash(`${method}:${uri}`);
  const response = hash(
    hasQop ? [first, nonce, nc, cnonce, 'auth', second].join(':') : [first, nonce, second].join(':'),
  );
  const fields = [
    hashesUsername ? `username=${quote(hash(`${username}:${realm}`))}` : usernameField(username),
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `response=${quote(response)}`,
    ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
    ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
    ...(hasQop ? ['qop=auth', `nc=${nc}`] : []),
    ...(hasQop || isSession ? [`cnonce=${quote(cnonce)}`] : []),
    ...(hashesUsername ? ['userhash=true'] : []),
  ];
  return `Digest ${fields.join(', ')}`;
}

/** RFC 7616 section 3.4: outside of ASCII in the form of RFC 8187. */
function usernameField(username: string): string {
  if (/^[\x20-\x7e]*$/.test(username)) return `username=${quote(username)}`;
  const encoded = encodeURIComponent(Buffer.from(username).toString()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  );
  return `username*=UTF-8''${encoded}`;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
