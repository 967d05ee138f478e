import { requireScope } from '../../activities/access/access';
import { needWord } from '../../activities/access/scopes';
import { notRetryable } from '../../activities/block-failure';
import type { Admission, Gate } from '../../activities/ports/gate';
import { DEFAULT_TENANT } from '../../dsl/start';
import type { PolicySource } from '../policy/policy';
import { accessOf } from '../policy/step-access';

/**
 * The gate of `--auth none`: whoever reaches Temporal is who they say they are. A policy still says what their tenant may do. Tokens
 * are refused and not passed over, since nobody would check them.
 */
export function createOpenGate(policy: PolicySource): Gate {
  return {
    admitStart: async ({ token, requestedBy }, { tenant = DEFAULT_TENANT }): Promise<Admission> => {
      // A grant is no harm: a flow may outlive the times in which tokens were checked.
      if (token !== undefined) throw unchecked();
      const access = accessOf(policy, tenant);
      requireScope(access, needWord('flow', 'start'));
      return {
        tenant,
        ...(requestedBy === undefined ? {} : { requestedBy }),
        ...(access === undefined ? {} : { access }),
      };
    },
    admitWindow: async ({ grant }) => grant,
    admitDecision: () => Promise.reject(unchecked()),
    admitResolution: () => Promise.reject(unchecked()),
    admitDeployment: () => Promise.reject(unchecked()),
    admitTrigger: () => Promise.resolve(),
    recognize: () => Promise.resolve({}),
  };
}

function unchecked(): Error {
  return notRetryable(
    'BLW_TOKEN_INVALID',
    'token: this worker checks no tokens (--auth none); leave it out, or start the workers with --auth jwt. A plain token is readable in the history now: revoke it',
  );
}
