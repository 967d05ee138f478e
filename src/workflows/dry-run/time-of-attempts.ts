import type { RetryPolicySpec } from '../../dsl/block-spec';
import { answersFrom } from '../../dsl/dry-run/mock-table';
import type { CallPlan } from '../../dsl/planning/plan';
import type { TaskFrame } from '../task-frame';
import { durationOf } from '../timeouts';
import type { Rehearsal } from './rehearsal';

/**
 * Time, in ms, that the attempts of a step would have taken and that was not waited: that of each attempt that a mock lets run out of time,
 * and the pauses between them. Together at most the step's own timeout, which would have ended it.
 */
export function timeOfAttempts(
  task: CallPlan,
  { scope, values }: TaskFrame,
  { before, attempts, rehearsal }: { before: number; attempts: number; rehearsal: Rehearsal },
): number {
  const limitMs = values.timeout === undefined ? Number.POSITIVE_INFINITY : durationOf(values.timeout, 'timeout');
  const answers = rehearsal.mockOf(task, scope)?.answers ?? [];
  let ms = rehearsal.waits ? 0 : pauses(task.retry, attempts);
  for (let attempt = before; attempt < before + attempts; attempt += 1) {
    const [answer] = answersFrom(answers, attempt);
    if (answer !== undefined && 'timeout' in answer) ms += task.startToCloseMs;
  }
  return Math.min(ms, limitMs);
}

/** As Temporal makes them. */
function pauses(
  { initialIntervalMs, backoffCoefficient, maximumIntervalMs }: RetryPolicySpec,
  attempts: number,
): number {
  let ms = 0;
  for (let retry = 0; retry < attempts - 1; retry += 1) {
    ms += Math.min(initialIntervalMs * backoffCoefficient ** retry, maximumIntervalMs);
  }
  return ms;
}
