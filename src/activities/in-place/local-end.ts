import { ApplicationFailure, CancelledFailure, type Info } from '@temporalio/activity';
import { type Elsewhere, LOCAL_ATTEMPT_MS, type LocalAttempt } from '../../dsl/local-step';
import type { StepResult } from '../../dsl/step-request';

/** An attempt that took so much of its time was ended by it, and not by what it called. */
const OVERRUN_MS = LOCAL_ATTEMPT_MS * 0.85;

/** An attempt in place that failed. */
export interface FailedInPlace {
  readonly failure: ApplicationFailure;
  readonly local: LocalAttempt;
  readonly info: Pick<Info, 'retryPolicy'>;
  readonly tookMs: number;
}

/** True where it is the step that has failed: what fails for good would in the queue, too, and no attempt or no time is left for it. */
export function endsInPlace(failed: FailedInPlace): boolean {
  const { failure, local, info, tookMs } = failed;
  const { nonRetryable, type } = failure;
  const isNamed = typeof type === 'string' && info.retryPolicy?.nonRetryableErrorTypes?.includes(type) === true;
  if (nonRetryable === true || isNamed) return true;
  if (lacksTime(failed)) return false;
  const pauseMs = pauseOf(failed) ?? durationMs(info.retryPolicy?.initialInterval) ?? 0;
  return local.isLast || (local.leftMs !== undefined && tookMs + pauseMs >= local.leftMs);
}

/** True where it failed since it ran in place: its time is shorter there, and nobody can be asked whether it still counts. */
export function lacksTime({ failure, tookMs }: FailedInPlace): boolean {
  return tookMs >= OVERRUN_MS || failure.type === 'BLW_STEP_OUTDATED';
}

/** Pause that the failure asks for, ms. */
export function pauseOf({ failure: { nextRetryDelay } }: FailedInPlace): number | undefined {
  return durationMs(nextRetryDelay ?? undefined);
}

/** Ours are all in ms. */
function durationMs(duration: string | number | undefined): number | undefined {
  return typeof duration === 'number' ? duration : undefined;
}

/** Sends a step to its queue; nothing of it counts but the time that it took, ms. */
export function elsewhere(reason: Elsewhere['reason'], tookMs = 0): StepResult {
  return inQueue({ reason, attempts: 0, tookMs });
}

/** Sends a step to its queue. */
export function inQueue(why: Elsewhere): StepResult {
  return { output: null, attempt: why.attempts, elsewhere: why };
}

/** A failure after which there is another attempt sends the step to its queue, for that; the others are the step's. */
export function moved(error: unknown, { local, info, tookMs }: Omit<FailedInPlace, 'failure'>): StepResult {
  if (error instanceof CancelledFailure) return elsewhere('stopped', tookMs);
  if (!(error instanceof ApplicationFailure)) throw error;
  const failed = { failure: error, local, info, tookMs };
  if (endsInPlace(failed)) throw error;
  const code = typeof error.type === 'string' ? { code: error.type } : {};
  if (lacksTime(failed)) return inQueue({ reason: 'slow', attempts: 0, tookMs, ...code });
  const pauseMs = pauseOf(failed);
  const pause = pauseMs === undefined ? {} : { pauseMs };
  return inQueue({ reason: 'failed', attempts: 1, tookMs, ...code, ...pause });
}
