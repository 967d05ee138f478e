import { notRetryable } from '../block-failure';
import type { Need, Scope } from './scopes';

/** What a tenant's step may do. JSON: it goes to the processes that run blocks. */
export interface Access {
  readonly tenant: string;
  /** Scopes that the tenant's policy gives. */
  readonly scopes: readonly Scope[];
  /** Scopes of the token that started the flow, which count together with the tenant's; absent: it does not narrow them. */
  readonly tokenScopes?: readonly Scope[];
  /** HOST[:PORT] that the tenant may reach although they are not at public addresses, beside the worker's `--allow-host`. */
  readonly privateHosts: readonly string[];
}

/**
 * Throws BLW_SCOPE_DENIED, not retryable, where the tenant's policy or the token lacks what is needed. An absent access is that
 * of a worker without a policy, where everything is allowed.
 */
export function requireScope(access: Access | undefined, need: Need): void {
  if (access === undefined) return;
  const { scopes, tokenScopes } = access;
  if (!scopes.some((scope) => need.allowedBy(scope))) throw denied(need, "the tenant's policy");
  if (tokenScopes !== undefined && !tokenScopes.some((scope) => need.allowedBy(scope))) {
    throw denied(need, 'the token');
  }
}

function denied({ scope }: Need, who: string): Error {
  return notRetryable('BLW_SCOPE_DENIED', `the scope ${scope} is needed and ${who} does not give it`, {
    data: { scope },
  });
}
