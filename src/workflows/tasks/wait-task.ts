import { sleep } from '@temporalio/workflow';
import { formatDuration } from '../../dsl/durations';
import { requireValue } from '../../dsl/expressions/batch';
import type { WaitPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import type { TaskFrame, TaskResult } from '../task-frame';
import { durationOf } from '../timeouts';

/** A durable timer of Temporal's; the input passes through. */
export function* executeWait(task: WaitPlan, { run, input, values }: TaskFrame): Routine<TaskResult> {
  const ms = durationOf(requireValue(values, 'duration'), 'wait');
  if (ms > 0) {
    yield* run.longWait(waitFor(sleep(ms, { summary: `${task.name}: ${formatDuration(ms)}` })));
  }
  return { output: input };
}
