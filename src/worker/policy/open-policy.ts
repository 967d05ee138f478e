import { listNames } from '../../dsl/problems';
import type { LogFields, Logger } from '../logger';
import type { PolicySource } from './policy';
import type { PolicyChange } from './policy-change';
import { createPolicySource, NO_POLICY } from './policy-source';

/** The policy of a worker, which logs what becomes of it and tells whether the file is in force. Throws BLW_POLICY_INVALID. */
export async function openPolicy(
  file: string | undefined,
  logger: Logger,
  onFile: (isInForce: boolean) => void = () => undefined,
): Promise<PolicySource> {
  if (file === undefined) return NO_POLICY;
  return await createPolicySource(file, {
    onChange: ({ digest, policy, change }) => {
      onFile(true);
      const fields = { policy_file: file, digest, tenants: policy.tenants.size };
      logger.log('info', 'policy in force', change === undefined ? fields : { ...fields, ...changeFields(change) });
    },
    onError: ({ message }) => {
      onFile(false);
      logger.log('error', 'policy file not taken; the policy before stays in force', {
        part: 'policy',
        policy_file: file,
        error: message,
      });
    },
  });
}

function changeFields({ added, removed, changed, isIdentityChanged }: PolicyChange): LogFields {
  return {
    tenants_added: listNames(added),
    tenants_removed: listNames(removed),
    tenants_changed: listNames(changed),
    identity_changed: isIdentityChanged,
  };
}
