import { listNames } from '../dsl/problems';
import type { WorkerConfig } from './config';
import type { Logger } from './logger';
import type { Policy } from './policy/policy';

/** Warns of databases for one tenant that the policy does not have: nobody can use them. */
export function warnOfUnknownTenants(
  { databases }: Pick<WorkerConfig, 'databases'>,
  policy: Policy | undefined,
  logger: Logger,
): void {
  if (policy === undefined) return;
  const unknown = databases.flatMap(({ tenant, name }) =>
    tenant === undefined || policy.tenants.has(tenant) ? [] : [`${tenant}/${name}`],
  );
  if (unknown.length === 0) return;
  logger.log('warn', 'databases of --database are for tenants that the policy does not have; nobody can use them', {
    databases: listNames(unknown),
  });
}
