import { isDeepStrictEqual } from 'node:util';
import type { Policy } from './policy';

/** What is different in a policy, by the names of tenants. */
export interface PolicyChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** How tokens are verified. */
  readonly isIdentityChanged: boolean;
}

export function comparePolicies(before: Policy, after: Policy): PolicyChange {
  const names = [...after.tenants.keys()];
  const isChanged = (name: string) => !isDeepStrictEqual(before.tenants.get(name), after.tenants.get(name));
  return {
    added: names.filter((name) => !before.tenants.has(name)),
    removed: [...before.tenants.keys()].filter((name) => !after.tenants.has(name)),
    changed: names.filter((name) => before.tenants.has(name) && isChanged(name)),
    isIdentityChanged: !isDeepStrictEqual(before.identity, after.identity),
  };
}
