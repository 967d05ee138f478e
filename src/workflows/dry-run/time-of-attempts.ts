import type { RetryPolicySpec } from '../../dsl/block-spec';
import { answersFrom } from '../../dsl/dry-run/mock-table';
import type { CallPlan } from '../../dsl/planning/plan';
import type { TaskFrame } from '../task-frame';
import { durationOf } from '../timeouts';
import type { Rehearsal } from './rehearsal';

/** How long the attempts of a step would have taken. */
export interface AttemptTime {
  readonly ms: number;
  /** The step's own timeout would have ended it meanwhile. */
  readonly isUp: boolean;
  /** Those that it left time for. */
  readonly attempts: number;
}

/**
 * Time that the attempts of a step would have taken and that was not waited: that of each attempt that a mock lets run out of time, and the
 * pauses between them. Together at most the step's own timeout.
 */
export function timeOfAttempts(
  task: CallPlan,
  { scope, values }: TaskFrame,
  { before, attempts, rehearsal }: { before: number; attempts: number; rehearsal: Rehearsal },
): AttemptTime {
  const limitMs = values.timeout === undefined ? Number.POSITIVE_INFINITY : durationOf(values.timeout, 'timeout');
  const answers = rehearsal.answers.mockOf(task, scope)?.answers ?? [];
  // Where there is no clock, time ends nothing.
  const hasClock = rehearsal.clock !== undefined;
  let ms = 0;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const isOneMore = attempt > 0;
    if (isOneMore && !rehearsal.waits) ms += pauseBefore(attempt, task.retry);
    if (isOneMore && hasClock && ms >= limitMs) return { ms: limitMs, isUp: true, attempts: attempt };
    const [answer] = answersFrom(answers, before + attempt);
    if (answer !== undefined && 'timeout' in answer) ms += Math.min(task.startToCloseMs, limitMs);
  }
  return { ms: Math.min(ms, limitMs), isUp: hasClock && ms > limitMs, attempts };
}

/** As Temporal makes them. */
function pauseBefore(
  retry: number,
  { initialIntervalMs, backoffCoefficient, maximumIntervalMs }: RetryPolicySpec,
): number {
  return Math.min(initialIntervalMs * backoffCoefficient ** (retry - 1), maximumIntervalMs);
}
