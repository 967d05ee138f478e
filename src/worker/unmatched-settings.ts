import type { KeyRing } from '../activities/payloads/key-ring';
import { listNames } from '../dsl/problems';
import type { WorkerConfig } from './config';
import type { Logger } from './logger';
import type { Policy } from './policy/policy';

/**
 * Warns of settings that do not match the policy: databases and secrets for a tenant that it does not have, which nobody can use, and tenants of it
 * without a key where others have one, whose values stay readable.
 */
export function warnOfUnmatched(
  { databases, secrets }: Pick<WorkerConfig, 'databases' | 'secrets'>,
  { policy, keys }: { policy: Policy | undefined; keys: KeyRing },
  logger: Logger,
): void {
  if (policy === undefined) return;
  const unknown = databases.flatMap(ofUnknownTenant(policy));
  if (unknown.length > 0) {
    logger.log('warn', 'databases of --database are for tenants that the policy does not have; nobody can use them', {
      databases: listNames(unknown),
    });
  }
  const unknownSecrets = secrets.flatMap(ofUnknownTenant(policy));
  if (unknownSecrets.length > 0) {
    logger.log('warn', 'secrets of --secret are for tenants that the policy does not have; nobody can use them', {
      secrets: listNames(unknownSecrets),
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

function ofUnknownTenant({ tenants }: Policy) {
  return ({ tenant, name }: { readonly tenant?: string; readonly name: string }): string[] =>
    tenant === undefined || tenants.has(tenant) ? [] : [`${tenant}/${name}`];
}
