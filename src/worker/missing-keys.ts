import type { KeyRing } from '../activities/payloads/key-ring';
import { listNames } from '../dsl/problems';
import type { Logger } from './logger';
import type { Policy } from './policy/policy';

/** Warns of tenants of the policy that have no key where others have: what is theirs stays readable. */
export function warnOfMissingKeys(keys: KeyRing, policy: Policy | undefined, logger: Logger): void {
  if (keys.isEmpty || policy === undefined) return;
  const without = [...policy.tenants.keys()].filter((tenant) => keys.encrypting(tenant) === undefined);
  if (without.length === 0) return;
  logger.log(
    'warn',
    'tenants of the policy have no key in the file of --encryption-keys; what is theirs is not encrypted',
    {
      tenants: listNames(without),
    },
  );
}
