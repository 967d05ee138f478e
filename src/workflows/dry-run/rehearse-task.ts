import { describeEffect } from '../../dsl/dry-run/describe-effect';
import { failedAttempts } from '../../dsl/dry-run/failed-attempts';
import { type MockAnswer, mockedError } from '../../dsl/dry-run/mock';
import { type DryRunReport, isDryRunReport } from '../../dsl/dry-run/report';
import { formatDuration } from '../../dsl/durations';
import { FlowError, type FlowErrorData, flowError } from '../../dsl/errors';
import { type CloudEvent, readEvent } from '../../dsl/events/cloud-event';
import { requireObject, requireValue } from '../../dsl/expressions/batch';
import type { Json } from '../../dsl/json';
import type { CallPlan, EmitPlan, ListenPlan, SubflowPlan, TaskPlan, WaitPlan } from '../../dsl/planning/plan';
import { isRepeatable } from '../../dsl/repeatable';
import type { Routine } from '../drive';
import { Listening } from '../events/listening';
import { unknownTimeout } from '../failures';
import type { ListenCursor } from '../suspension';
import { Suspension } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { completeEvent } from '../tasks/emit-task';
import { literalFilters } from '../tasks/listen-task';
import { durationOf } from '../timeouts';
import { endAfter, endResting, restingIn, type StepEnd } from './end-after';
import type { Rehearsal } from './rehearsal';
import { rehearseApproval } from './rehearse-approval';
import { type AttemptTime, timeOfAttempts } from './time-of-attempts';

/** How a task is run that reaches nothing by itself. */
type Execute = (task: TaskPlan, frame: TaskFrame) => Routine<TaskResult>;

/** Runs a task in a dry run: what would reach something is answered, and what it would have done is noted. */
export function* rehearseTask(
  task: TaskPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  const resting = restingIn(frame.from);
  if (resting !== undefined) return yield* endResting(resting, { frame, rehearsal });
  switch (task.kind) {
    case 'call':
      noteCall(task, frame, rehearsal);
      if (task.human === true) return yield* rehearseApproval(task, frame, rehearsal);
      return yield* rehearseCall(task, frame, { rehearsal, execute });
    case 'function':
      rehearsal.noteInput(frame.step, requireObject(frame.values, 'with'));
      return (yield* answered(task, frame, rehearsal)) ?? (yield* execute(task, frame));
    case 'subflow':
      return yield* rehearseSubflow(task, frame, { rehearsal, execute });
    case 'emit':
      return yield* rehearseEmit(task, frame, rehearsal);
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
  rehearsal.note(step, { answer: rehearsal.answers.sourceOf(task, scope) });
}

/** The worker answers, so that its checks, retries and quotas are those of a live step. */
function* rehearseCall(
  task: CallPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  const before = rehearsal.answers.attemptsOf(task, frame.scope);
  const made = (): AttemptTime => {
    const time = timeOfAttempts(task, frame, { before, attempts: frame.step.shown.attempts ?? 1, rehearsal });
    const { attempts } = time;
    const failed = failedAttempts(rehearsal.answers.mockOf(task, frame.scope)?.answers ?? [], { before, attempts });
    if (failed.length > 0) rehearsal.note(frame.step, { failedAttempts: failed });
    rehearsal.answers.addAttempts(task, frame.scope, attempts);
    return time;
  };
  let end: StepEnd;
  try {
    end = yield* execute(task, frame);
  } catch (error) {
    // Before it was answered it waits for a quota: the attempt is made in the next history.
    if (error instanceof Suspension) throw error;
    if (!(error instanceof FlowError)) {
      rehearsal.pass(made().ms);
      throw error;
    }
    end = { error };
  }
  const { ms, isUp, attempts } = made();
  if (isUp) {
    frame.step.update({ attempts });
    const mayRepeat = isRepeatable(task, requireObject(frame.values, 'with'));
    const isUnknown = !mayRepeat && frame.run.prepared.tellsUnknownTimeouts === true;
    end = { error: isUnknown ? unknownTimeout() : tookTooLong() };
  }
  return yield* endAfter(ms, end, { frame, rehearsal });
}

function* rehearseSubflow(
  task: SubflowPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  rehearsal.noteInput(frame.step, frame.values.with ?? null, `would run the flow ${task.flow}`);
  if (!task.await) return yield* rehearseUnawaited(task, frame, { rehearsal, execute });
  const result = yield* answered(task, frame, rehearsal);
  if (result !== undefined) return result;
  const { skippedMs = 0, error, output = null } = yield* reportOf(task, frame, { rehearsal, execute });
  const end: StepEnd =
    error === undefined
      ? { output }
      : { error: new FlowError({ ...(error as unknown as FlowErrorData), instance: task.path }) };
  return yield* endAfter(skippedMs, end, { frame, rehearsal });
}

/** Whatever a flow comes to that nobody waits for, the step ends well, and takes no time. */
function* rehearseUnawaited(
  task: SubflowPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<TaskResult> {
  const answer = rehearsal.answers.nextAnswer(task, frame.scope);
  try {
    if (answer === undefined) yield* reportOf(task, frame, { rehearsal, execute });
    else {
      rehearsal.note(frame.step, { answer: rehearsal.answers.sourceOf(task, frame.scope) });
      outputOf(answer);
    }
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
    rehearsal.noteUnawaited(frame.step, task, error);
  }
  return { output: frame.input };
}

/** The flow runs as a dry run too, with a report of its own. */
function* reportOf(
  task: SubflowPlan,
  frame: TaskFrame,
  { rehearsal, execute }: { rehearsal: Rehearsal; execute: Execute },
): Routine<DryRunReport> {
  const { output: report } = yield* execute(task, frame);
  if (!isDryRunReport(report)) throw flowError('BLW_BLOCK_FAILED', `${task.flow} gave no report of a dry run`);
  rehearsal.noteFlow(frame.step, report, { task, scope: frame.scope });
  return report;
}

function* rehearseEmit(task: EmitPlan, frame: TaskFrame, rehearsal: Rehearsal): Routine<TaskResult> {
  const event = completeEvent(requireObject(frame.values, 'event'), task, frame);
  rehearsal.note(frame.step, { input: event, would: `would emit the event ${event.type}` });
  yield* answered(task, frame, rehearsal);
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
      ? (yield* answered(task, frame, rehearsal))?.output
      : outputBefore(rehearsal.answers.lastAnswer(task, frame.scope));
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
  if (rehearsal.clock === undefined) {
    rehearsal.skip(ms);
    return { output: frame.input };
  }
  return yield* endAfter(ms, { output: frame.input }, { frame, rehearsal });
}

/** What a listen was answered that goes on in a new history. */
function outputBefore(answer: MockAnswer | undefined): Json | undefined {
  return answer === undefined ? undefined : outputOf(answer);
}

/** The mocked result of a task; undefined where it has none. Throws what a mocked error is. */
function* answered(task: TaskPlan, frame: TaskFrame, rehearsal: Rehearsal): Routine<{ output: Json } | undefined> {
  const { scope, step, values } = frame;
  const answer = rehearsal.answers.nextAnswer(task, scope);
  if (answer === undefined) return undefined;
  rehearsal.note(step, { answer: rehearsal.answers.sourceOf(task, scope) });
  if ('timeout' in answer && values.timeout !== undefined) {
    const ms = durationOf(values.timeout, 'timeout');
    return yield* endAfter(ms, { error: tookTooLong() }, { frame, rehearsal });
  }
  return { output: outputOf(answer) };
}

function tookTooLong(): FlowError {
  return flowError('BLW_STEP_TIMEOUT', 'the step took longer than its timeout');
}

function outputOf(answer: MockAnswer): Json {
  if ('error' in answer) throw new FlowError(mockedError(answer.error));
  if ('timeout' in answer) throw tookTooLong();
  if ('output' in answer) return answer.output;
  throw flowError('BLW_START_INVALID', 'a decision is no answer to this step');
}
