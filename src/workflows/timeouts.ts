import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import { parseDuration } from '../dsl/durations';
import { flowError } from '../dsl/errors';
import type { BatchValues } from '../dsl/expressions/batch';
import type { Json } from '../dsl/json';
import type { TaskPlan } from '../dsl/planning/plan';
import { drive, type Routine, waitFor } from './drive';
import type { VirtualClock } from './dry-run/virtual-clock';

/** A duration that the document gives, or an expression in it, in milliseconds. Throws BLW_DURATION_INVALID. */
export function durationOf(value: Json, what: string): number {
  const parsed = parseDuration(value);
  if ('problem' in parsed) throw flowError('BLW_DURATION_INVALID', `${what}: ${parsed.problem}`);
  return parsed.ms;
}

/** When a time is up. Travels in history, where a flow continues as new. */
export interface Deadline {
  /** In ms since 1970; in a dry run that has a clock, on that. */
  readonly at: number;
  /** How long it is from the beginning. */
  readonly ms: number;
}

/** The deadline that is so far from now. `clock`: that of a dry run. */
export function deadlineIn(ms: number, clock: VirtualClock | undefined): Deadline {
  return { at: (clock?.now ?? Date.now()) + ms, ms };
}

/** A call's timeout is its activity's, kept by the server; every other task's is a timer of the flow. */
export function deadlineOf(
  task: TaskPlan,
  { timeout }: BatchValues,
  clock: VirtualClock | undefined,
): Deadline | undefined {
  if (timeout === undefined || (task.kind === 'call' && task.human !== true)) return undefined;
  return deadlineIn(durationOf(timeout, 'timeout'), clock);
}

/**
 * Runs a routine, cancelling all that it waits for at the deadline. Throws BLW_STEP_TIMEOUT (OWS dsl,
 * "Timeouts": type timeout, status 408). `clock`: that of a dry run, on which the deadline is.
 */
export function* withDeadline<T>(
  deadline: Deadline,
  start: () => Routine<T>,
  clock: VirtualClock | undefined,
): Routine<T> {
  return yield* waitFor(raceDeadline(deadline, start, clock));
}

async function raceDeadline<T>(
  { at, ms }: Deadline,
  start: () => Routine<T>,
  clock: VirtualClock | undefined,
): Promise<T> {
  const work = new CancellationScope();
  const timer = new CancellationScope();
  let isTimeUp = false;
  // Handled at once: a cancellation from outside ends the timer before the work, which may take a while to end.
  const watching = timer
    .run(() => (clock === undefined ? sleep(Math.max(0, at - Date.now())) : clock.until(at)))
    .then(
      () => {
        isTimeUp = true;
        work.cancel();
      },
      (error: unknown) => {
        if (!isCancellation(error)) throw error;
      },
    );
  try {
    return await work.run(() => drive(start()));
  } catch (error) {
    const isCancelledFromOutside = CancellationScope.current().consideredCancelled;
    if (isTimeUp && !isCancelledFromOutside && isCancellation(error))
      throw flowError('BLW_STEP_TIMEOUT', `it took longer than ${ms} ms`);
    throw error;
  } finally {
    timer.cancel();
    await watching;
  }
}
