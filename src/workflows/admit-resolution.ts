import type { ResolutionAdmission } from '../dsl/admission';
import type { PreparedFlow } from '../dsl/start';
import type { AdmitResolution } from './dead-letters';
import { proxyBoundedActivities } from './local-activities';

const { admitResolution } = proxyBoundedActivities<{
  admitResolution(request: ResolutionAdmission): Promise<{ readonly by: string }>;
}>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/** Who may resolve a flow's dead letters: with a grant, only who shows a token; else anybody, and nothing is asked. */
export function admissionOf({ grant, tenant }: PreparedFlow): { readonly admit?: AdmitResolution } {
  if (grant === undefined) return {};
  return {
    admit: async (resolution, { id, failedAt }) =>
      await admitResolution({ resolution, letter: { id, failedAt }, grant, tenant }),
  };
}
