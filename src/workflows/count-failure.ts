import { type ActivityFailure, CancellationScope, workflowInfo } from '@temporalio/workflow';
import { messageOf } from '../dsl/errors';
import { type Routine, waitFor } from './drive';
import type { FlowRun } from './flow-run';
import { quotaActivities } from './quota/quota-activities';

/** Counts a step that failed for good in its tenant's usage, where its worker could not; never fails itself. */
export function* countFailure(
  { tenant, proof, prepared, progress }: FlowRun,
  { activityId }: ActivityFailure,
): Routine<void> {
  if (prepared.countsFailures !== true) return;
  const id = `${workflowInfo().runId}:${activityId}`;
  try {
    yield* waitFor(CancellationScope.nonCancellable(() => quotaActivities.countFailure({ tenant, ...proof, id })));
  } catch (error) {
    progress.note(`a failure is missing in the usage: ${messageOf(error)}`);
  }
}
