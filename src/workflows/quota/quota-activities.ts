import type { RecordedOnly, Unrecorded } from '../../dsl/local-step';
import type { FlowOwner, QuotaWait } from '../../dsl/quota';
import { proxyBoundedActivities } from '../local-activities';

/** What workflows ask of the keeper of quotas: each shows its grant, where it has one. */
interface QuotaActivities {
  leaveQuotaLine(request: FlowOwner & { tickets: readonly string[] }): Promise<void>;
  admitFlow(request: FlowOwner & { firstRunId: string; since: number }): Promise<{ waiting?: QuotaWait }>;
  releaseFlow(request: FlowOwner & { firstRunId: string } & RecordedOnly): Promise<undefined | Unrecorded>;
  countFailure(failure: FlowOwner & { id: string }): Promise<void>;
}

/** Local activities; what they ask for takes milliseconds, and a store that does not answer is told as a wait. */
export const quotaActivities = proxyBoundedActivities<QuotaActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 3 },
});
