import { ActivityFailure, scheduleActivity, sleep } from '@temporalio/workflow';
import { flowError } from '../../dsl/errors';
import { requireObject } from '../../dsl/expressions/batch';
import type { JsonObject } from '../../dsl/json';
import type { Elsewhere, LocalAttempt } from '../../dsl/local-step';
import type { CallPlan } from '../../dsl/planning/plan';
import { readsIn } from '../../dsl/read-ahead/read-ahead';
import { isRepeatable } from '../../dsl/repeatable';
import type { StepRequest, StepResult } from '../../dsl/step-request';
import { undecodableReason } from '../../dsl/undecodable';
import { aheadOf, answerOf } from '../ahead-reads';
import { countFailure } from '../count-failure';
import { type Routine, waitFor } from '../drive';
import { attemptsOf, isLostAttempt, isUnreported, lateForAll, toFlowError, unknownOutcome } from '../failures';
import type { FlowRun } from '../flow-run';
import { tryInPlace } from '../local-steps';
import { readable } from '../lost-payload';
import { StepTurns } from '../quota/step-turns';
import type { TaskFrame, TaskResult } from '../task-frame';
import { activityOptions, requestOf, type StepOptions } from './call-request';

/** Runs a block as one Temporal activity on the task queue of its resource class. */
export function* executeCall(task: CallPlan, frame: TaskFrame): Routine<TaskResult> {
  // Before it waits for anything: whether it is there may not depend on what others of the flow do.
  const known = takeRead(task, frame);
  if (known !== undefined && isEnd(known)) return { output: known.output };
  const turns = new StepTurns(frame);
  if (known?.waiting !== undefined) turns.note({ ...known, waiting: known.waiting });
  let pauseMs = known?.elsewhere === undefined ? undefined : moved(task, known.elsewhere, turns);
  yield* turns.begin();
  try {
    yield* turns.resume();
    let isMoved = false;
    for (;;) {
      if (pauseMs !== undefined) {
        isMoved = true;
        if (pauseMs > 0) yield* waitFor(sleep(pauseMs));
        pauseMs = undefined;
      }
      const sentAt = Date.now();
      const result = yield* sendOut(task, frame, turns, isMoved);
      if (result.elsewhere !== undefined) pauseMs = moved(task, result.elsewhere, turns);
      else if (result.waiting === undefined) return { output: result.output };
      else yield* turns.wait({ ...result, waiting: result.waiting }, sentAt);
    }
  } catch (error) {
    yield* turns.giveUp(error);
    throw error;
  } finally {
    turns.end();
  }
}

function isEnd({ elsewhere, waiting }: StepResult): boolean {
  return elsewhere === undefined && waiting === undefined;
}

/** The answer that the step was given before the flow came to it; undefined: there is none. Throws what it failed with. */
function takeRead(task: CallPlan, frame: TaskFrame): StepResult | undefined {
  const { run, scope, step, values, generation, from } = frame;
  if (scope.reads === undefined || from !== undefined || generation > 0) return undefined;
  const read = scope.reads.take(task, scope.iteration, requireObject(values, 'with'));
  if (read === undefined) return undefined;
  run.waits();
  run.locals.hear({ use: 'reads' });
  const isOver = !('result' in read) || isEnd(read.result);
  if (isOver) step.ranAt(read);
  try {
    return accept(answerOf(read), frame);
  } catch (error) {
    const attempts = attemptsOf(error);
    if (attempts !== undefined) step.update({ attempts });
    throw toFlowError(error);
  }
}

/** What the flow notes of an answer. */
function accept(result: StepResult, { run, step }: TaskFrame): StepResult {
  if (result.elsewhere !== undefined) return result;
  run.quota.limitTo(result.quota?.concurrentSteps);
  step.ranOn(result.worker);
  if (result.waiting === undefined) {
    step.update({ attempts: result.attempt, ...(result.cached === true ? { cached: true as const } : {}) });
  }
  return result;
}

/** A step that was tried in place goes to its queue: after the pause of its retry policy, which it gives, where an attempt has failed. */
function moved({ retry }: CallPlan, elsewhere: Elsewhere, turns: StepTurns): number {
  const { attempts, pauseMs = retry.initialIntervalMs } = elsewhere;
  const pause = attempts === 0 ? 0 : pauseMs;
  turns.moved(elsewhere, pause);
  return pause;
}

/** What is sent out of a call. */
interface Sent {
  readonly request: StepRequest;
  readonly options: StepOptions;
  /** Absent: through its queue. */
  readonly local: LocalAttempt | undefined;
}

/** Runs the activity once: to the step's end, to the news that its tenant is over a quota, or that it is to go to its queue. */
function* sendOut(task: CallPlan, frame: TaskFrame, turns: StepTurns, isMoved: boolean): Routine<StepResult> {
  const { run, values, step } = frame;
  const args = requireObject(values, 'with');
  const sent = sentOf(task, frame, args, { turns, isMoved });
  const isQueued = sent.local === undefined;
  if (isQueued) yield* run.dispatch.enter(sent.request);
  try {
    const result = readable(yield* answerTo(task, sent, frame), "the step's result");
    const unreadable = undecodableReason(result);
    if (unreadable !== undefined)
      throw flowError('BLW_BLOCK_FAILED', `the step's result cannot be read: ${unreadable}`);
    if (isQueued && result.elsewhere === undefined) run.locals.learn(task.path, result);
    const accepted = accept(result, frame);
    if (isEnd(accepted)) turns.admitted();
    return accepted;
  } catch (error) {
    const attempts = attemptsOf(error);
    if (attempts !== undefined) step.update({ attempts });
    if (error instanceof ActivityFailure) step.ranOn(error.identity);
    if (isUnreported(error) && run.rehearsal === undefined) yield* countFailure(run, error);
    throw stepError(error, run, { pool: task.resources, mayRepeat: isRepeatable(task, args) });
  } finally {
    if (isQueued) run.dispatch.leave();
  }
}

/** Whether a step that must not be repeated took effect is not known where an attempt of it was not reported on. */
function stepError(
  error: unknown,
  { prepared }: FlowRun,
  step: { readonly pool: string; readonly mayRepeat: boolean },
): unknown {
  if (prepared.tellsUnknownOutcomes === true && isLostAttempt(error) && !step.mayRepeat) return unknownOutcome(error);
  return (prepared.tellsUnknownTimeouts === true ? lateForAll(error, step) : undefined) ?? toFlowError(error);
}

function sentOf(
  task: CallPlan,
  frame: TaskFrame,
  args: JsonObject,
  { turns, isMoved }: { readonly turns: StepTurns; readonly isMoved: boolean },
): Sent {
  const { run } = frame;
  const request = requestOf(task, frame, args, turns);
  const options = activityOptions(task, frame, args, turns);
  const isTried = !isMoved && run.rehearsal === undefined;
  return { request, options, local: isTried ? run.locals.attemptOf(task, args, options) : undefined };
}

function* answerTo(task: CallPlan, { request, options, local }: Sent, frame: TaskFrame): Routine<StepResult> {
  const { run, scope } = frame;
  const { block } = task;
  scope.reads?.drop();
  run.waits();
  if (local === undefined) return yield* waitFor(scheduleActivity<StepResult>(block, [request], options));
  try {
    const ahead = local.use === 'reads' ? aheadOf(task, frame, options.startToCloseTimeout) : undefined;
    const attempt = ahead === undefined ? local : { ...local, ahead };
    const answer = yield* tryInPlace({ block, request: { ...request, local: attempt }, options }, run.locals);
    scope.reads?.keep(readsIn(answer));
    return answer;
  } finally {
    run.locals.hear(local);
  }
}
