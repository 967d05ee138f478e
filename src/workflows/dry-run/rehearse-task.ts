import { describeEffect } from '../../dsl/dry-run/describe-effect';
import { failedAttempts } from '../../dsl/dry-run/failed-attempts';
import { type MockAnswer, mockedError } from '../../dsl/dry-run/mock';
import { formatDuration } from '../../dsl/durations';
import { FlowError, flowError } from '../../dsl/errors';
import { type CloudEvent, readEvent } from '../../dsl/events/cloud-event';
import { requireObject, requireValue } from '../../dsl/expressions/batch';
import type { Json } from '../../dsl/json';
import type { CallPlan, EmitPlan, ListenPlan, SubflowPlan, TaskPlan, WaitPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import { Listening } from '../events/listening';
import type { ListenCursor } from '../suspension';
import { Suspension } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { completeEvent } from '../tasks/emit-task';
import { literalFilters } from '../tasks/listen-task';
import { durationOf } from '../timeouts';
import type { Rehearsal } from './rehearsal';
import { rehearseApproval } from './rehearse-approval';
import { timeOfAttempts } from './time-of-attempts';

/** How a task is run that reaches nothing by itself. */
type Execute = (task: TaskPlan, frame: TaskFrame) => Routine<TaskResult>;

/** Runs a task in a dry run: what would reach something is answered, and what it would have done is noted. */
export function* rehearseTask(
  task: TaskPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  switch (task.kind) {
    case 'call':
      noteCall(task, frame, rehearsal);
      if (task.human === true) return yield* rehearseApproval(task, frame, rehearsal);
      return yield* rehearseCall(task, frame, { rehearsal, execute });
    case 'function':
      rehearsal.noteInput(frame.step, requireObject(frame.values, 'with'));
      return answered(task, frame, rehearsal) ?? (yield* execute(task, frame));
    case 'subflow':
      return yield* rehearseSubflow(task, frame, { rehearsal, execute });
    case 'emit':
      return rehearseEmit(task, frame, rehearsal);
    case 'listen':
      return yield* rehearseListen(task, frame, rehearsal);
    case 'wait':
      return yield* rehearseWait(task, frame, { rehearsal, execute });
    default:
      return yield* execute(task, frame);
  }
}

function noteCall(task: CallPlan, { scope, values, step }: TaskFrame, rehearsal: Rehearsal): void {
  const input = requireObject(values, 'with');
  rehearsal.noteInput(step, input, describeEffect(task.block, input));
  rehearsal.note(step, { answer: rehearsal.sourceOf(task, scope) });
}

/** The worker answers, so that its checks, retries and quotas are those of a live step. */
function* rehearseCall(
  task: CallPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  const before = rehearsal.attemptsOf(task, frame.scope);
  let isSuspended = false;
  try {
    return yield* execute(task, frame);
  } catch (error) {
    isSuspended = error instanceof Suspension;
    throw error;
  } finally {
    // Before it was answered it waits for a quota: the attempt is made in the next history.
    const attempts = isSuspended ? 0 : (frame.step.shown.attempts ?? 1);
    rehearsal.pass(timeOfAttempts(task, frame, { before, attempts, rehearsal }));
    const failed = failedAttempts(rehearsal.mockOf(task, frame.scope)?.answers ?? [], { before, attempts });
    if (failed.length > 0) rehearsal.note(frame.step, { failedAttempts: failed });
    rehearsal.addAttempts(task, frame.scope, attempts);
  }
}

function* rehearseSubflow(
  task: SubflowPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  rehearsal.noteInput(frame.step, frame.values.with ?? null, `would run the flow ${task.flow}`);
  const result = task.await ? answered(task, frame, rehearsal) : answeredUnawaited(task, frame, rehearsal);
  if (result !== undefined) return result;
  // As a dry run too, with a report of its own.
  return yield* execute(task, frame);
}

function rehearseEmit(task: EmitPlan, frame: TaskFrame, rehearsal: Rehearsal): TaskResult {
  const event = completeEvent(requireObject(frame.values, 'event'), task, frame);
  rehearsal.note(frame.step, { input: event, would: `would emit the event ${event.type}` });
  answered(task, frame, rehearsal);
  return { output: event };
}

/** Nobody is subscribed: what is consumed is what the mock says, or an event for each filter. */
function* rehearseListen(task: ListenPlan, frame: TaskFrame, rehearsal: Rehearsal): Routine<TaskResult> {
  const { run, step } = frame;
  const types = task.to.filters.map(({ literal }) => String(literal.type ?? 'any type'));
  rehearsal.note(step, { would: `would listen for events (${types.join(', ') || 'any type'})` });
  const from = frame.from as ListenCursor | undefined;
  const mocked =
    from === undefined
      ? answered(task, frame, rehearsal)?.output
      : outputBefore(rehearsal.lastAnswer(task, frame.scope));
  if (mocked === undefined) rehearsal.note(step, { answer: 'generated' });
  const items = (mocked as Json[] | undefined) ?? generatedEvents(task);
  const listener =
    from === undefined ? run.inbox.open(task.path, literalFilters(task.to)) : run.inbox.reopen(from.listener);
  let isSuspended = false;
  try {
    return yield* new Listening(task, frame, listener, items).run();
  } catch (error) {
    isSuspended = error instanceof Suspension;
    throw error;
  } finally {
    if (!isSuspended) run.inbox.close(listener);
  }
}

/** One of each kind that is wanted; of those of which any will do, the first. */
function generatedEvents({ to: { kind, filters }, read }: ListenPlan): Json[] {
  const wanted = kind === 'all' ? filters : filters.slice(0, 1);
  return (wanted.length === 0 ? [{ literal: {} }] : wanted).map(({ literal }) =>
    readEvent(
      { specversion: '1.0', id: 'dry-run', source: '/dry-run', type: 'dry-run', data: {}, ...literal } as CloudEvent,
      read,
    ),
  );
}

function* rehearseWait(
  task: WaitPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  const ms = durationOf(requireValue(frame.values, 'duration'), 'wait');
  rehearsal.note(frame.step, { would: `would wait ${formatDuration(ms)}` });
  if (rehearsal.waits) return yield* execute(task, frame);
  rehearsal.skip(ms);
  return { output: frame.input };
}

/** What a listen was answered that goes on in a new history. */
function outputBefore(answer: MockAnswer | undefined): Json | undefined {
  return answer === undefined ? undefined : outputOf(answer);
}

/** The mocked result of a task; undefined where it has none. Throws what a mocked error is. */
function answered(task: TaskPlan, { scope, step, values }: TaskFrame, rehearsal: Rehearsal): TaskResult | undefined {
  const answer = rehearsal.nextAnswer(task, scope);
  if (answer === undefined) return undefined;
  if ('timeout' in answer && values.timeout !== undefined) rehearsal.pass(durationOf(values.timeout, 'timeout'));
  rehearsal.note(step, { answer: rehearsal.sourceOf(task, scope) });
  return { output: outputOf(answer) };
}

/** Of a flow that nobody waits for: whatever it is mocked to come to, the step ends well. */
function answeredUnawaited(task: SubflowPlan, frame: TaskFrame, rehearsal: Rehearsal): TaskResult | undefined {
  try {
    return answered(task, frame, rehearsal) === undefined ? undefined : { output: frame.input };
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
    rehearsal.noteUnawaited(frame.step, task, error);
    return { output: frame.input };
  }
}

function outputOf(answer: MockAnswer): Json {
  if ('error' in answer) throw new FlowError(mockedError(answer.error));
  if ('timeout' in answer) throw flowError('BLW_STEP_TIMEOUT', 'the step took longer than its timeout');
  if ('output' in answer) return answer.output;
  throw flowError('BLW_START_INVALID', 'a decision is no answer to this step');
}
