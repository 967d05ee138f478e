import { CancellationScope } from '@temporalio/workflow';
import { messageOf } from '../../dsl/errors';
import { type Routine, waitFor } from '../drive';
import type { FlowRun } from '../flow-run';
import { quotaActivities } from './quota-activities';

/** Takes steps out of their tenant's line that do not want to run any more; also in a flow that is cancelled. */
export function* leaveQuotaLine(
  { tenant, proof, quota, progress }: FlowRun,
  tickets: readonly string[],
): Routine<void> {
  if (tickets.length === 0) return;
  for (const ticket of tickets) quota.forget(ticket);
  try {
    yield* waitFor(
      CancellationScope.nonCancellable(() =>
        quota.leaveTogether(tickets, (all) => quotaActivities.leaveQuotaLine({ tenant, ...proof, tickets: all })),
      ),
    );
  } catch (error) {
    // They expire by themselves.
    progress.note(`steps could not leave their line: ${messageOf(error)}`);
  }
}
