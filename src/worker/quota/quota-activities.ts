import { recordedOnly } from '../../activities/in-place/recorded-only';
import { type LocalCall, localOnly } from '../../activities/local-only';
import type { Gate } from '../../activities/ports/gate';
import { ADMIT_FLOW, COUNT_FAILURE, LEAVE_QUOTA_LINE, RELEASE_FLOW } from '../../dsl/names';
import type { FlowOwner } from '../../dsl/quota';
import { askForFlow, placeOf } from './flow-admission';
import type { QuotaKeeper } from './quota-keeper';

/** Later than every attempt that could still report. */
const LAST_ATTEMPT = 1_000_000_000;

/** What flows ask of the keeper of quotas, as local activities. Nothing is done for a flow that the gate does not know. */
export function createQuotaActivities(keeper: QuotaKeeper, gate: Gate) {
  const known =
    <Request extends FlowOwner, R>(act: (request: Request, at: LocalCall) => Promise<R>) =>
    async (at: LocalCall, request: Request): Promise<R> => {
      await gate.recognize(request, at);
      return await act(request, at);
    };
  return {
    /** Takes steps out of their tenant's line. */
    [LEAVE_QUOTA_LINE]: localOnly(
      known(({ tenant, tickets }: FlowOwner & { tickets: readonly string[] }) =>
        keeper.leave({ tenant, kind: 'step', tickets }),
      ),
    ),
    /** Asks again for a flow that waits to begin. */
    [ADMIT_FLOW]: localOnly(
      known(({ tenant, firstRunId, since }: FlowOwner & { firstRunId: string; since: number }, at) =>
        askForFlow(keeper, { tenant, firstRunId, since }, at),
      ),
    ),
    /** Gives the place of a flow back, and takes it out of the line where it still waits. */
    [RELEASE_FLOW]: recordedOnly(
      localOnly(
        known(({ tenant, firstRunId }: FlowOwner & { firstRunId: string }) =>
          keeper.releaseFlow(tenant, placeOf(firstRunId)),
        ),
      ),
    ),
    /** Counts a step that failed for good and whose worker could not know. */
    [COUNT_FAILURE]: localOnly(
      known(({ tenant, id }: FlowOwner & { id: string }) =>
        keeper.settle({ tenant, id, attempt: LAST_ATTEMPT, end: 'failed' }),
      ),
    ),
  };
}

/** Called in the activity that checks an approval's arguments, the only one that each goes through once. */
export async function countAskedApproval(
  keeper: QuotaKeeper,
  tenant: string,
  { runId, activityId }: LocalCall,
): Promise<void> {
  await keeper.countApproval(tenant, `approval:${runId}:${activityId}`);
}
