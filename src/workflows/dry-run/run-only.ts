import type { OnlyPlan } from '../../dsl/dry-run/dry-run';
import { FlowError } from '../../dsl/errors';
import { type Json, type JsonObject, setOwn } from '../../dsl/json';
import { tasksOf } from '../../dsl/planning/tasks-of';
import { type CarriedFlow, continuable } from '../continue-flow';
import type { Routine } from '../drive';
import type { FlowRun } from '../flow-run';
import { refuseTooLarge } from '../json-size';
import { awaitPlace, keepPlace } from '../quota/flow-place';
import { runTask } from '../run-task';
import type { TaskOutcome, TaskScope } from '../scope';
import { type ListCursor, suspendable, type TaskCursor } from '../suspension';
import type { Rehearsal } from './rehearsal';

/**
 * Runs one step of a flow and nothing around it, with what the start gives it. What the flow would do before and after all its steps is
 * left out, and nothing is undone. The result is the step's output.
 */
export function* runOnly(
  run: FlowRun,
  { only, rehearsal }: { only: OnlyPlan; rehearsal: Rehearsal },
  carried: CarriedFlow | undefined,
): Routine<Json> {
  const task = tasksOf(run.plan).get(only.path);
  if (task === undefined) throw new Error(`${only.path} is not in the plan`);
  if (carried === undefined) {
    yield* awaitPlace(run);
    run.context = only.context ?? null;
  } else keepPlace(run);
  const { input } = only;
  const step = suspendable(runTask(run, task, input, scopeOf(only), carried?.list.task), (inner) => ({
    ...BEFORE,
    output: input,
    task: inner as TaskCursor,
  }));
  try {
    const outcome = yield* continuable(step, run, { input, deadline: undefined });
    refuseTooLarge(outcome.output, `output of ${only.path}`, run.maxPayloadBytes);
    refuseTooLarge(run.context, `context after ${only.path}`, run.maxPayloadBytes);
    rehearsal.endOnly({ context: run.context, next: nextOf(outcome, only) });
    return outcome.output;
  } catch (error) {
    throw error instanceof FlowError ? withNotGiven(error, only) : error;
  }
}

/** A list of the step alone, of which none is done. */
const BEFORE: Omit<ListCursor, 'output'> = { index: 0, visits: {}, steps: {} };

function scopeOf({ variables = {}, steps: outputs = {} }: OnlyPlan): TaskScope {
  const steps: JsonObject = {};
  for (const [name, output] of Object.entries(outputs)) setOwn(steps, name, { output });
  return { variables, steps, iteration: '', depth: 0 };
}

function nextOf({ next, endsFlow }: TaskOutcome, { following }: OnlyPlan): string | null {
  if (endsFlow) return 'end';
  return next === 'continue' ? following : next;
}

/** An expression that fails may lack what only the flow around the step would have had. */
function withNotGiven(error: FlowError, { path, notGiven }: OnlyPlan): FlowError {
  const { data } = error;
  const missing = notGiven[data.instance ?? path] ?? [];
  if (data.code !== 'BLW_EXPR_FAILED' || missing.length === 0) return error;
  const detail = `${data.detail ?? data.type}; the step reads what it was not given: ${missing.join(', ')}`;
  return new FlowError({ ...data, detail }, { cause: error });
}
