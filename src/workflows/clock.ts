import { CancellationScope } from '@temporalio/workflow';
import { TELL_TIME } from '../dsl/names';
import { type Routine, waitFor } from './drive';
import type { FlowRun } from './flow-run';
import { proxyBoundedActivities } from './local-activities';

/** Asked until it answers. */
const { [TELL_TIME]: tellTime } = proxyBoundedActivities<{ [TELL_TIME](): Promise<number> }>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumInterval: '10 s' },
});

/**
 * What time it is, in ms since 1970, where it decides what the flow does: a worker tells it, so that it is in the history. `Date.now()` is for
 * what is only shown. Nothing is named by either: what was told is told again, as another time, where a worker is lost before the history has it.
 *
 * The reason is that the workflow's clock may differ when its history is replayed (SDK 1.23 and 1.24). A query that waited for a worker that
 * was gone reaches another one with events that came meanwhile; the flow hears of them, and goes on, at the time of the workflow task before
 * (`test/e2e/late-query.test.ts`). And a local activity that ended in one workflow task may be heard of in the next, but at once in a replay.
 */
export function* recordedTime({ prepared, locals }: FlowRun): Routine<number> {
  if (prepared.recordsTimes !== true) return Date.now();
  // A flow that is cancelled needs its answer as well, which takes milliseconds.
  const time = yield* waitFor(CancellationScope.nonCancellable(() => tellTime()));
  locals.tellTime();
  return time;
}
