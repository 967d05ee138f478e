import { CancellationScope, condition, isCancellation, proxySinks, workflowInfo } from '@temporalio/workflow';
import { FlowError, messageOf } from '../../dsl/errors';
import { type FlowOwner, type FlowPlaceSinks, needOf, type QuotaWait } from '../../dsl/quota';
import { type Routine, waitFor } from '../drive';
import { toFlowError } from '../failures';
import type { FlowRun } from '../flow-run';
import { quotaActivities } from './quota-activities';

const { flowPlaces } = proxySinks<FlowPlaceSinks>();

/** Waits until the flow is one of those of its tenant that may be open; leaves the line where it is cancelled before. */
export function* awaitPlace(run: FlowRun): Routine<void> {
  const { prepared, quota } = run;
  const { place, waiting } = prepared;
  if (place === undefined) return;
  if (waiting === undefined) return keepPlace(run);
  let wait: QuotaWait | undefined = waiting;
  run.status.quotaWaitBegins();
  while (wait !== undefined) {
    const { ticket, since, afterMs }: QuotaWait = wait;
    run.progress.waitFor(needOf(wait));
    run.waits();
    yield* quota.await(ticket, Date.now() + afterMs, true);
    wait = (yield* waitFor(quotaActivities.admitFlow({ ...ownerOf(run), since }))).waiting;
  }
  quota.forget(place);
  run.progress.waitFor(undefined);
  run.status.quotaWaitEnds();
  keepPlace(run);
}

/**
 * Tells the worker that the flow has its place, where it is not in its first run: a flow that had ended and was reset has given it back.
 * Only once what it did before has been replayed, and without a command, so that it is in no history.
 */
export function keepPlace({ tenant, proof, prepared: { place } }: FlowRun): void {
  const { runId, firstExecutionRunId } = workflowInfo();
  if (place === undefined || runId === firstExecutionRunId) return;
  const isLive = condition(() => !workflowInfo().unsafe.isReplaying);
  isLive.then(
    () => flowPlaces.hold({ tenant, ...proof }),
    // The flow has ended before.
    () => undefined,
  );
}

/** Gives the flow's place back at its end. Where the flow is ended by force, a worker notices. */
export function* holdingPlace<T>(run: FlowRun, routine: Routine<T>): Routine<T> {
  let result: T;
  try {
    result = yield* routine;
  } catch (thrown) {
    const error = toFlowError(thrown);
    if (error instanceof FlowError || isCancellation(error)) yield* leavePlace(run);
    throw thrown;
  }
  yield* leavePlace(run);
  return result;
}

function* leavePlace(run: FlowRun): Routine<void> {
  if (run.prepared.place === undefined) return;
  try {
    yield* waitFor(
      CancellationScope.nonCancellable(() =>
        run.locals.onRecord((asked) => quotaActivities.releaseFlow({ ...ownerOf(run), ...asked })),
      ),
    );
  } catch (error) {
    run.progress.note(`the flow could not give its place back: ${messageOf(error)}`);
  }
}

/** The place itself comes along with what a flow carries, which anybody can make up: the worker makes it from the first run. */
function ownerOf({ tenant, proof }: FlowRun): FlowOwner & { firstRunId: string } {
  return { tenant, ...proof, firstRunId: workflowInfo().firstExecutionRunId };
}
