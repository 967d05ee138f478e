import {
  CancellationScope,
  CancelledFailure,
  defineQuery,
  isCancellation,
  proxyLocalActivities,
  setHandler,
} from '@temporalio/workflow';
import { FlowError } from '../dsl/errors';
import { inline } from '../dsl/inline-values';
import { isJsonObject, type Json } from '../dsl/json';
import { type FlowStatus, PROGRESS_QUERY } from '../dsl/names';
import type { FlowProgress, ProgressQueryInput } from '../dsl/progress';
import type { PreparedFlow } from '../dsl/start';
import { drive, type Routine } from './drive';
import { toFlowError, toWorkflowFailure } from './failures';
import { FlowRun } from './flow-run';
import { refuseTooLarge } from './json-size';
import { readable } from './lost-payload';
import { ProgressTracker } from './progress-tracker';
import { runTaskList } from './run-task';
import { publishAttributes } from './search-attributes';
import { durationOf, withTimeout } from './timeouts';
import { validate } from './validation';

const progressQuery = defineQuery<FlowProgress, [ProgressQueryInput?]>(PROGRESS_QUERY);

/** Parses, validates and plans outside of the workflow: the plan is in history, the schema library is not in the bundle. */
const { prepareFlow } = proxyLocalActivities<{ prepareFlow(start: unknown): Promise<PreparedFlow> }>({
  startToCloseTimeout: '30 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/**
 * Runs a flow. `start` is the documented start input ({@link StartInput}); whatever else arrives fails the workflow at
 * once, not retried, with BLW_START_INVALID or BLW_FLOW_INVALID. The result is the flow's output.
 */
export async function runFlow(start: unknown): Promise<Json> {
  const progress = new ProgressTracker();
  setHandler(progressQuery, (input) => inline(progress.snapshot(input?.since)), {
    description: 'Status of the flow and of its steps; {"since": version} gives only what changed after that version.',
  });
  const settle = (status: FlowStatus) => {
    publishAttributes({ status });
    progress.setStatus(status);
  };
  try {
    const prepared = readable(
      await prepareFlow(withoutUncheckedInput(readable(start, 'the start input'))),
      "the flow's plan",
    );
    const run = new FlowRun(prepared, isJsonObject(start) ? (start.input ?? null) : null, progress);
    run.publishIdentity();
    const output = await drive(runPlan(run, run.constants.workflow.input ?? null));
    settle('Completed');
    return output;
  } catch (thrown) {
    const error = toFlowError(thrown);
    const isCancelled = error instanceof FlowError && CancellationScope.current().consideredCancelled;
    if (isCancellation(error) || isCancelled) {
      settle('Cancelled');
      throw new CancelledFailure('the flow was cancelled');
    }
    // Anything else is a defect of this program: it fails the workflow task, which a corrected worker takes up again.
    if (!(error instanceof FlowError)) throw error;
    settle('Failed');
    throw toWorkflowFailure(error);
  }
}

/** Preparation needs the flow's input only where the document says what to check of it; a large one takes seconds to pass on. */
function withoutUncheckedInput(start: unknown): unknown {
  if (!isJsonObject(start) || start.input === undefined || !isJsonObject(start.flow)) return start;
  return start.flow.input === undefined ? { ...start, input: null } : start;
}

/** The flow around its tasks: input, timeout, output (OWS dsl, "Data Flow"). The input's schema was checked in preparation. */
function* runPlan(run: FlowRun, rawInput: Json): Routine<Json> {
  const { plan, evaluator, constants } = run;
  const before = { ...constants, data: rawInput };
  const input = plan.inputFrom === undefined ? rawInput : evaluator.render(plan.inputFrom, before);
  run.context = input;
  const steps = {};
  const runTasks = () => runTaskList(run, plan.tasks, input, { variables: {}, steps, iteration: '', depth: 0 });
  const { output } =
    plan.timeout === undefined
      ? yield* runTasks()
      : yield* withTimeout(durationOf(plan.timeout, run, before, 'timeout'), runTasks);
  const after = { ...constants, context: run.context, steps, data: output };
  const result = plan.output?.as === undefined ? output : evaluator.render(plan.output.as, after);
  if (plan.output?.schema !== undefined) yield* validate(run, plan.output.schema, result, 'output of the flow');
  refuseTooLarge(result, 'output of the flow', run.maxPayloadBytes);
  return result;
}
