import { errors, type JWTPayload, jwtVerify } from 'jose';
import { explainScope } from '../../activities/access/scopes';
import { notRetryable } from '../../activities/block-failure';
import { FlowError } from '../../dsl/errors';
import { TENANT } from '../../dsl/start';
import type { IdentityPolicy } from '../policy/policy';
import type { Holder } from './grants';
import { IssuerKeys } from './issuer-keys';

/** A verified token. */
export interface TokenHolder extends Holder {
  readonly groups: readonly string[];
}

/** Longest name of a person that an approval takes. */
const MAX_SUBJECT_LENGTH = 200;
const MAX_GROUPS = 1_000;

/** Verifies tokens as the policy in force says (RFC 7519, RFC 8725). */
export class TokenVerifier {
  #policy: IdentityPolicy | undefined;
  #keys: IssuerKeys | undefined;

  constructor(
    private readonly policy: () => IdentityPolicy | undefined,
    private readonly warn: (message: string) => void,
  ) {}

  /**
   * Whose token it is, `at` that time. Throws BLW_TOKEN_INVALID, which never has the token in it, and BLW_IDENTITY_UNAVAILABLE where the
   * issuer's keys cannot be had.
   */
  async verify(token: string, at: Date): Promise<TokenHolder> {
    const policy = this.policy();
    if (policy === undefined)
      throw notRetryable(
        'BLW_POLICY_INVALID',
        'the policy in force has no `identity`, so that no token can be verified',
      );
    const { issuer, audience, algorithms, clockToleranceMs } = policy;
    try {
      const { payload } = await jwtVerify(token.trim(), this.#keysOf(policy).find, {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: clockToleranceMs / 1_000,
        requiredClaims: ['exp', 'sub'],
        currentDate: at,
      });
      return readClaims(payload, policy);
    } catch (error) {
      if (error instanceof FlowError) throw error;
      // Its cause has the claims, so that it stays here.
      throw invalid(reasonOf(error, policy));
    }
  }

  /** A policy that was read again may name another issuer; the same one keeps its keys. */
  #keysOf(policy: IdentityPolicy): IssuerKeys {
    const isSame = this.#policy !== undefined && JSON.stringify(this.#policy.jwks) === JSON.stringify(policy.jwks);
    if (this.#keys === undefined || !isSame) this.#keys = new IssuerKeys(policy.jwks, this.warn);
    this.#policy = policy;
    return this.#keys;
  }
}

function readClaims(payload: JWTPayload, { claims }: IdentityPolicy): TokenHolder {
  const { sub } = payload;
  if (typeof sub !== 'string' || sub.trim() === '' || sub.length > MAX_SUBJECT_LENGTH) {
    throw invalid(`its claim "sub" is not 1 to ${MAX_SUBJECT_LENGTH} characters of text`);
  }
  const tenant = payload[claims.tenant];
  if (typeof tenant !== 'string' || !TENANT.test(tenant)) {
    throw invalid(`its claim "${claims.tenant}" is not the name of a tenant`);
  }
  const scopes = payload[claims.scopes];
  const groups = payload[claims.groups];
  return {
    sub,
    tenant,
    groups: groups === undefined ? [] : wordsOf(groups, claims.groups).slice(0, MAX_GROUPS),
    // Issuers have scopes of their own beside ours, such as `openid`.
    ...(scopes === undefined
      ? {}
      : { scopes: wordsOf(scopes, claims.scopes).filter((scope) => explainScope(scope) === undefined) }),
  };
}

/** A list of texts, or a text with blanks between words (RFC 8693, section 4.2). */
function wordsOf(value: unknown, claim: string): string[] {
  if (typeof value === 'string') return value.split(' ').filter((word) => word !== '');
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw invalid(`its claim "${claim}" is neither a text nor a list of texts`);
}

function reasonOf(error: unknown, { issuer, audience, algorithms }: IdentityPolicy): string {
  if (error instanceof errors.JWTExpired) return 'it has expired; get a new one';
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim } = error;
    if (claim === 'iss') return `it is not of the expected issuer, ${issuer}`;
    if (claim === 'aud') return `it is not for the expected audience, ${audience}`;
    if (claim === 'nbf') return 'it is not valid yet';
    return `its claim "${claim}" is missing or wrong`;
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return `its algorithm is not one of ${algorithms.join(', ')}`;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  if (error instanceof errors.JWKSNoMatchingKey) return 'it was signed with a key that the issuer does not publish';
  if (error instanceof errors.JWKSMultipleMatchingKeys)
    return 'its header has no "kid", and the issuer has several keys';
  return 'it is not a valid JWT';
}

function invalid(detail: string): Error {
  return notRetryable('BLW_TOKEN_INVALID', `token: ${detail}`);
}
