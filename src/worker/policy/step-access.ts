import { type Access, requireScope } from '../../activities/access/access';
import { needBlock, needWord } from '../../activities/access/scopes';
import { notRetryable } from '../../activities/block-failure';
import type { StepMiddleware } from '../../activities/step-activities';
import type { ResourceClass } from '../../dsl/block-spec';
import type { PolicySource } from './policy';

/**
 * Gives each step the access of its tenant, as the policy in force says now, and refuses blocks and resource classes that are not in
 * it: BLW_TENANT_DENIED, BLW_SCOPE_DENIED, not retryable. What depends on the arguments the ports refuse (scoped-ports.ts). Without
 * `resources` these are those that the step of a dry run would be done in.
 */
export function stepAccess(policy: PolicySource, resources: ResourceClass | undefined): StepMiddleware {
  return async (step, next) => {
    const access = accessOf(policy, step.tenant, step.tokenScopes);
    if (access === undefined) return await next();
    requireScope(access, needBlock(step.blockType));
    requireScope(access, needWord('resources', resources ?? step.dryRun?.resources ?? 'io'));
    return await next({ ...step, access });
  };
}

/**
 * What a tenant may do now, for a flow that was started by a token with these scopes; undefined where there is no policy. Throws BLW_TENANT_DENIED for
 * one that the policy does not have.
 */
export function accessOf(policy: PolicySource, tenant: string, tokenScopes?: readonly string[]): Access | undefined {
  const inForce = policy.current();
  if (inForce === undefined) return undefined;
  const found = inForce.tenants.get(tenant);
  if (found === undefined) throw notRetryable('BLW_TENANT_DENIED', `the tenant "${tenant}" has no access here`);
  const { scopes, privateHosts } = found;
  return { tenant, scopes, privateHosts, ...(tokenScopes === undefined ? {} : { tokenScopes }) };
}
