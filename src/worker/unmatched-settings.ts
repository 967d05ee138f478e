import type { KeyRing } from '../activities/payloads/key-ring';
import { listNames } from '../dsl/problems';
import type { WorkerConfig } from './config';
import type { Logger } from './logger';
import type { Policy } from './policy/policy';

/**
 * Warns of settings that do not match the policy: databases for a tenant that it does not have, which nobody can use, and tenants of it
 * without a key where others have one, whose values stay readable.
 */
export function warnOfUnmatched(
  { databases }: Pick<WorkerConfig, 'databases'>,
  { policy, keys }: { policy: Policy | undefined; keys: KeyRing },
  logger: Logger,
): void {
  if (policy === undefined) return;
  const unknown = databases.flatMap(({ tenant, name }) =>
    tenant === undefined || policy.tenants.has(tenant) ? [] : [`${tenant}/${name}`],
  );
  if (unknown.length > 0) {
    logger.log('warn', 'databases of --database are for tenants that the policy does not have; nobody can use them', {
      databases: listNames(unknown),
    });
  }
  const withoutKey = keys.isEmpty
    ? []
    : [...policy.tenants.keys()].filter((tenant) => keys.encrypting(tenant) === undefined);
  if (withoutKey.length > 0) {
    logger.log(
      'warn',
      'tenants of the policy have no key in the file of --encryption-keys; what is theirs is not encrypted',
      { tenants: listNames(withoutKey) },
    );
  }
}
