import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  defineQuery,
  isCancellation,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { FlowError } from '../dsl/errors';
import { isJsonObject, type Json } from '../dsl/json';
import { type FlowStatus, PROGRESS_QUERY } from '../dsl/names';
import { valueItem } from '../dsl/planning/definition-items';
import type { FlowProgress, ProgressQueryInput } from '../dsl/progress';
import type { PreparedFlow } from '../dsl/start';
import { type CarriedFlow, ContinueFlow, continuable, continueFlow, resumeRun } from './continue-flow';
import { drive, type Routine } from './drive';
import { toFlowError, toWorkflowFailure } from './failures';
import { FlowRun } from './flow-run';
import { refuseTooLarge } from './json-size';
import { ProgressTracker } from './progress-tracker';
import { runTaskList } from './run-task';
import { publishAttributes } from './search-attributes';
import { type Deadline, deadlineIn, durationOf, withDeadline } from './timeouts';
import { validate } from './validation';

const progressQuery = defineQuery<FlowProgress, [ProgressQueryInput?]>(PROGRESS_QUERY);

/** Parses, validates and plans outside of the workflow: the plan is in history, the schema library is not in the bundle. */
const { prepareFlow } = proxyLocalActivities<{ prepareFlow(start: unknown): Promise<PreparedFlow> }>({
  startToCloseTimeout: '30 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/**
 * Runs a flow. `start` is the documented start input ({@link StartInput}); whatever else arrives fails the workflow at
 * once, not retried, with BLW_START_INVALID or BLW_FLOW_INVALID. The result is the flow's output. `carried` is what a flow
 * that continues as new brings along; nobody else may send it.
 */
export async function runFlow(start: unknown, carried?: CarriedFlow): Promise<Json> {
  const progress = new ProgressTracker();
  setHandler(progressQuery, (input) => progress.snapshot(input?.since), {
    description: 'Status of the flow and of its steps; {"since": version} gives only what changed after that version.',
  });
  const settle = (status: FlowStatus) => {
    publishAttributes({ status });
    progress.setStatus(status);
  };
  try {
    const run = carried === undefined ? await beginRun(start, progress) : resumeRun(carried, progress);
    const output = await drive(runPlan(run, carried));
    settle('Completed');
    return output;
  } catch (thrown) {
    if (thrown instanceof ContinueFlow) {
      await condition(allHandlersFinished);
      // A cancellation that came with the last task would be lost with this run.
      if (!CancellationScope.current().consideredCancelled) return await continueFlow(thrown.carried);
    }
    const error = thrown instanceof ContinueFlow ? new CancelledFailure('the flow was cancelled') : toFlowError(thrown);
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

async function beginRun(start: unknown, progress: ProgressTracker): Promise<FlowRun> {
  const prepared = await prepareFlow(start);
  const input = isJsonObject(start) ? (start.input ?? null) : null;
  const run = new FlowRun({ prepared, input, progress, startedAt: workflowInfo().startTime.getTime() });
  run.publishIdentity();
  return run;
}

/** The flow around its tasks: input, timeout, output (OWS dsl, "Data Flow"). The input's schema was checked in preparation. */
function* runPlan(run: FlowRun, carried: CarriedFlow | undefined): Routine<Json> {
  const { plan, constants } = run;
  const { input, deadline } = carried ?? (yield* transformInput(run));
  if (carried === undefined) run.context = input;
  const steps = {};
  const runTasks = () =>
    runTaskList(run, plan.tasks, input, { variables: {}, steps, iteration: '', depth: 0 }, carried?.list);
  const tasks = deadline === undefined ? runTasks() : withDeadline(deadline, runTasks);
  const { output } = yield* continuable(tasks, run, { input, deadline });
  const after = { ...constants, context: run.context, steps, data: output };
  const { output: result = output } = yield* run.evaluate(valueItem('output', plan.output?.as), after);
  if (plan.output?.schema !== undefined) yield* validate(run, plan.output.schema, result, 'output of the flow');
  refuseTooLarge(result, 'output of the flow');
  return result;
}

function* transformInput(run: FlowRun): Routine<{ input: Json; deadline?: Deadline }> {
  const { plan, constants } = run;
  const data = constants.workflow.input ?? null;
  const items = [...valueItem('input', plan.inputFrom), ...valueItem('timeout', plan.timeout)];
  const { input = data, timeout } = yield* run.evaluate(items, { ...constants, data });
  return { input, ...(timeout === undefined ? {} : { deadline: deadlineIn(durationOf(timeout, 'timeout')) }) };
}
