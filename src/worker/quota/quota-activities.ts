import { Context } from '@temporalio/activity';
import { localOnly } from '../../activities/local-only';
import { ADMIT_FLOW, COUNT_FAILURE, LEAVE_QUOTA_LINE, RELEASE_FLOW } from '../../dsl/names';
import { askForFlow } from './flow-admission';
import type { QuotaKeeper } from './quota-keeper';

/** Later than every attempt that could still report. */
const LAST_ATTEMPT = 1_000_000_000;

/** What flows ask of the keeper of quotas, as local activities. */
export function createQuotaActivities(keeper: QuotaKeeper) {
  return {
    /** Takes steps out of their tenant's line. */
    [LEAVE_QUOTA_LINE]: localOnly((_, { tenant, tickets }: { tenant: string; tickets: readonly string[] }) =>
      keeper.leave({ tenant, kind: 'step', tickets }),
    ),
    /** Asks again for a flow that waits to begin. */
    [ADMIT_FLOW]: localOnly((_, request: { tenant: string; place: string; since: number }) =>
      askForFlow(keeper, request),
    ),
    /** Gives the place of a flow back, and takes it out of the line where it still waits. */
    [RELEASE_FLOW]: localOnly((_, { tenant, place }: { tenant: string; place: string }) =>
      keeper.releaseFlow(tenant, place),
    ),
    /** Counts a step that failed for good and whose worker could not know. */
    [COUNT_FAILURE]: localOnly((_, { tenant, id }: { tenant: string; id: string }) =>
      keeper.settle({ tenant, id, attempt: LAST_ATTEMPT, end: 'failed' }),
    ),
  };
}

/** Called in the activity that checks an approval's arguments, the only one that each goes through once. */
export async function countAskedApproval(keeper: QuotaKeeper, tenant: string): Promise<void> {
  const { workflowExecution, activityId } = Context.current().info;
  // Local activities have numbers of their own.
  await keeper.countApproval(tenant, `approval:${workflowExecution?.runId}:${activityId}`);
}
