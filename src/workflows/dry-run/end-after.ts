import { FlowError } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import type { Routine } from '../drive';
import { type Cursor, type RestCursor, suspendable } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import type { Rehearsal } from './rehearsal';
import type { VirtualClock } from './virtual-clock';

/** What a step of a dry run comes to. */
export type StepEnd = { readonly output: Json } | { readonly error: FlowError };

/** Ends a step that has its answer, after the time that it would have taken. */
export function* endAfter(
  ms: number,
  end: StepEnd,
  { frame, rehearsal }: { frame: TaskFrame; rehearsal: Rehearsal },
): Routine<TaskResult> {
  const { clock } = rehearsal;
  if (clock === undefined) rehearsal.pass(ms);
  else yield* restUntil(clock.now + ms, end, { frame, rehearsal, clock });
  return resultOf(end);
}

/** Goes on with a step that had its answer in the history before. */
export function* endResting(
  { wakeAt, end, notes, attempts }: RestCursor,
  { frame, rehearsal }: { frame: TaskFrame; rehearsal: Rehearsal },
): Routine<TaskResult> {
  const { clock } = rehearsal;
  rehearsal.note(frame.step, notes);
  if (attempts !== undefined) frame.step.update({ attempts });
  const known: StepEnd = 'error' in end ? { error: new FlowError(end.error) } : end;
  if (clock !== undefined) yield* restUntil(wakeAt, known, { frame, rehearsal, clock });
  return resultOf(known);
}

/** What a step stands at that has its answer; undefined: it has none yet. */
export function restingIn(from: Cursor | undefined): RestCursor | undefined {
  return from !== undefined && 'wakeAt' in from && 'end' in from ? from : undefined;
}

function* restUntil(
  wakeAt: number,
  end: StepEnd,
  { frame: { step }, rehearsal, clock }: { frame: TaskFrame; rehearsal: Rehearsal; clock: VirtualClock },
): Routine<void> {
  const { attempts } = step.shown;
  yield* suspendable(clock.sleep(wakeAt), () => ({
    wakeAt,
    end: 'error' in end ? { error: end.error.data } : end,
    notes: rehearsal.notesOf(step),
    ...(attempts === undefined ? {} : { attempts }),
  }));
}

function resultOf(end: StepEnd): TaskResult {
  if ('error' in end) throw end.error;
  return { output: end.output };
}
