import { LEAVE_QUOTA_LINE } from '../../dsl/names';
import type { QuotaKeeper } from './quota-keeper';

/** What flows ask of the keeper of quotas, as local activities. */
export function createQuotaActivities(keeper: QuotaKeeper) {
  return {
    /** Takes steps out of their tenant's line. */
    [LEAVE_QUOTA_LINE]: ({ tenant, tickets }: { tenant: string; tickets: readonly string[] }): Promise<void> =>
      keeper.leave({ tenant, kind: 'step', tickets }),
  };
}
