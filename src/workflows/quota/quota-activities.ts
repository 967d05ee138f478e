import type { QuotaWait } from '../../dsl/quota';
import { proxyBoundedActivities } from '../local-activities';

/** What workflows ask of the keeper of quotas. */
interface QuotaActivities {
  leaveQuotaLine(request: { tenant: string; tickets: readonly string[] }): Promise<void>;
  admitFlow(request: { tenant: string; place: string; since: number }): Promise<{ waiting?: QuotaWait }>;
  releaseFlow(request: { tenant: string; place: string }): Promise<void>;
  countFailure(failure: { tenant: string; id: string }): Promise<void>;
}

/** Local activities; what they ask for takes milliseconds, and a store that does not answer is told as a wait. */
export const quotaActivities = proxyBoundedActivities<QuotaActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 3 },
});
