import { decodeJwt } from 'jose';
import { formatDuration } from '../dsl/durations';
import { shortText } from '../dsl/problems';

/** What is known of those who will look at a token. */
export interface TokenReaders {
  /** That is said beside it. */
  readonly tenant?: string | undefined;
  /** Name of the claim that has the tenant; absent: nobody knows here, and nothing is said of it. */
  readonly tenantClaim?: string | undefined;
  readonly nowMs?: number;
}

/** Why workers will most probably not accept a token; nothing of it is verified, and nothing of it is said but its times and its tenant. */
export function tokenWarnings(token: string, { tenant, tenantClaim, nowMs = Date.now() }: TokenReaders): string[] {
  const claims = claimsOf(token);
  if (claims === undefined) return [];
  const { exp, nbf } = claims;
  const own = tenantClaim === undefined ? undefined : claims[tenantClaim];
  const missing = ['exp', 'sub'].filter((name) => claims[name] === undefined);
  const warnings = missing.map((name) => `the token has no claim "${name}"; workers accept none without`);
  if (typeof exp === 'number' && exp * 1_000 <= nowMs) {
    warnings.push(`the token expired ${formatDuration(nowMs - exp * 1_000)} ago; get a new one`);
  }
  if (typeof nbf === 'number' && nbf * 1_000 > nowMs) {
    warnings.push(`the token is not valid before ${formatDuration(nbf * 1_000 - nowMs)} from now`);
  }
  if (tenant !== undefined && typeof own === 'string' && own !== tenant) {
    warnings.push(
      `the token's claim "${tenantClaim}" is "${shortText(own)}", and --tenant is "${shortText(tenant)}": one of them is another's`,
    );
  }
  return warnings;
}

/** Undefined for what is no JWT with claims: whoever needs them says so. */
function claimsOf(token: string): Record<string, unknown> | undefined {
  try {
    return decodeJwt(token);
  } catch {
    return undefined;
  }
}
