import { CancellationScope, CancelledFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import { FlowError, type FlowErrorData, flowError, flowErrorToJson } from '../dsl/errors';
import type { Variables } from '../dsl/expressions/batch';
import { isDeeperThan, isJsonObject, type Json } from '../dsl/json';
import { valueItem } from '../dsl/planning/definition-items';
import type { PreparedFlow, RunOrigin } from '../dsl/start';
import { type CompensationState, compensate, compensationFailed } from './compensation';
import { type CarriedFlow, continuable, continueFlow, continueUndoing, isContinued, resumeRun } from './continue-flow';
import { receiveResolutions } from './dead-letters';
import { drive, type Routine } from './drive';
import { answerSteps } from './dry-run/answer-steps';
import { runOnly } from './dry-run/run-only';
import { receiveEvents } from './events/flow-events';
import { toFlowError, withinLimits } from './failures';
import { tellNews } from './flow-news';
import { belongTo, belongToStated } from './flow-owner';
import { FlowRun, type RunParts } from './flow-run';
import { refuseTooLarge } from './json-size';
import { proxyBoundedActivities } from './local-activities';
import { readable } from './lost-payload';
import { awaitPlace, holdingPlace, keepPlace } from './quota/flow-place';
import { receiveOffers } from './quota/quota-line';
import { runOrigin } from './run-origin';
import { runTaskList } from './run-task';
import { runToEnd } from './run-to-end';
import { type Deadline, deadlineIn, durationOf, withDeadline } from './timeouts';
import { receivedTraceHeader } from './tracing/interceptors';
import { validate } from './validation';

/** Levels that a start is sure to be taken with, as an answer of a service is. */
const MAX_DEPTH = 500;

/** Parses, validates and plans outside of the workflow: the plan is in history, the schema library is not in the bundle. */
const { prepareFlow } = proxyBoundedActivities<{
  prepareFlow(start: unknown, origin: RunOrigin, traceHeader: unknown): Promise<PreparedFlow>;
}>({
  startToCloseTimeout: '30 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/**
 * Runs a flow. `start` is the documented start input ({@link StartInput}); whatever else arrives fails the workflow at
 * once, not retried, with BLW_START_INVALID or BLW_FLOW_INVALID. The result is the flow's output. `carried` is what a flow
 * that continues as new brings along; nobody else may send it.
 */
export async function runFlow(start: unknown, carried?: CarriedFlow): Promise<Json> {
  let run: FlowRun | undefined;
  return await runToEnd<Json, CarriedFlow>({
    body: async (progress) => {
      belongToStated(start);
      const state = carried === undefined ? undefined : readable(carried, 'the state of the flow');
      const inbox = receiveEvents(progress, isContinued() ? state?.events : undefined);
      const quota = receiveOffers(isContinued() ? state?.quota : undefined);
      const letters = receiveResolutions(progress);
      const parts = { progress, inbox, quota, letters };
      let result: Promise<Json>;
      try {
        run = state === undefined ? await beginRun(start, parts) : resumeRun(state, parts);
        answerSteps(run);
        result = drive(holdingPlace(run, runAsked(run, carried)));
      } finally {
        letters.restored();
      }
      const output = await result;
      return run.rehearsal === undefined ? output : reportOf(run, { output });
    },
    continueAsNew: continueFlow,
    // What a flow comes to is what a dry run is for.
    resultOfFailure: ({ data: error }) =>
      run?.rehearsal === undefined ? undefined : reportOf(run, { error: withinLimits(error) }),
  });
}

function reportOf(
  { rehearsal, plan: { flow }, tenant }: FlowRun,
  end: { output: Json } | { error: FlowErrorData },
): Json {
  return (rehearsal?.report({ flow, tenant }, end) ?? null) as unknown as Json;
}

async function beginRun(start: unknown, parts: RunParts): Promise<FlowRun> {
  const request = withoutUncheckedInput(readable(start, 'the start input'));
  const prepared = readable(await prepare(request), "the flow's plan");
  belongTo(prepared.tenant);
  const input = workflowInputOf(start, prepared);
  const run = new FlowRun({ prepared, input, ...parts, startedAt: workflowInfo().startTime.getTime() });
  run.publishIdentity();
  tellNews({ status: 'started', tenant: run.tenant, flow: run.plan.flow });
  return run;
}

/** Where a step runs alone, the start's input is the step's. */
function workflowInputOf(start: unknown, { dryRun }: PreparedFlow): Json {
  if (dryRun?.only !== undefined) return dryRun.only.workflowInput ?? null;
  return isJsonObject(start) ? (start.input ?? null) : null;
}

async function prepare(request: unknown): Promise<PreparedFlow> {
  try {
    return await prepareFlow(request, runOrigin(), receivedTraceHeader());
  } catch (error) {
    // It can be read and not be written again, which would fail the workflow task for ever. Asked only then: histories know no such limit.
    if (!(error instanceof RangeError) || !isDeeperThan(request as Json, MAX_DEPTH)) throw error;
    throw flowError('BLW_START_INVALID', `the start input is nested deeper than ${MAX_DEPTH} levels, expected less`);
  }
}

/** The flow, or the one step of it that is tried. */
function runAsked(run: FlowRun, carried: CarriedFlow | undefined): Routine<Json> {
  const { rehearsal } = run;
  const only = rehearsal?.only;
  if (rehearsal === undefined || only === undefined) return runUndoable(run, carried);
  return runOnly(run, { only, rehearsal }, carried);
}

/** The flow, and the compensations of its steps where it fails or is cancelled. */
function* runUndoable(run: FlowRun, carried: CarriedFlow | undefined): Routine<Json> {
  if (carried?.compensating !== undefined) throw yield* undoFlow(run, carried.compensating);
  try {
    return yield* runPlan(run, carried);
  } catch (thrown) {
    const error = toFlowError(thrown);
    const isEnd = error instanceof FlowError || isCancellation(error);
    const left = run.compensations.entries;
    if (!isEnd || left.length === 0) throw thrown;
    const isCancelled = isCancellation(error) || CancellationScope.current().consideredCancelled;
    const cause = isCancelled || !(error instanceof FlowError) ? {} : { error: flowErrorToJson(error.data) };
    throw yield* undoFlow(run, { ...cause, left, report: { completed: 0, failed: [] } });
  }
}

/**
 * Preparation needs the input only where the document says what to check of it, where a token or a grant is for this input alone,
 * or where it is that of a step; a large one takes seconds to pass on.
 */
function withoutUncheckedInput(start: unknown): unknown {
  if (!isJsonObject(start) || start.input === undefined || !isJsonObject(start.flow)) return start;
  if (start.token !== undefined || start.grant !== undefined || start.only !== undefined) return start;
  return start.flow.input === undefined ? { ...start, input: null } : start;
}

/** Undoes what is left, and gives what the flow ends with. */
function* undoFlow(run: FlowRun, state: CompensationState): Routine<Error> {
  run.beginCompensation();
  const report = yield* compensate(run, state, (rest) => {
    throw continueUndoing(run, rest);
  });
  if (state.error !== undefined) {
    return new FlowError({ ...(state.error as unknown as FlowErrorData), compensation: report });
  }
  if (report.failed.length === 0) return new CancelledFailure('the flow was cancelled');
  return compensationFailed(report);
}

/** The flow around its tasks: input, timeout, output (OWS dsl, "Data Flow"). The input's schema was checked in preparation. */
function* runPlan(run: FlowRun, carried: CarriedFlow | undefined): Routine<Json> {
  const { plan, constants } = run;
  // The flow's time begins when it may.
  if (carried === undefined) yield* awaitPlace(run);
  else keepPlace(run);
  const { input, deadline } = carried ?? (yield* placed(plan.inputFrom ? '/input' : '/timeout', transformInput(run)));
  if (carried === undefined) run.context = input;
  const steps = {};
  const scope = { variables: {}, steps, iteration: '', depth: 0, reads: run.newReads(false) };
  const runTasks = () => placed('/do', runTaskList(run, plan.tasks, input, scope, carried?.list));
  const tasks = deadline === undefined ? runTasks() : placed('/timeout', withDeadline(deadline, runTasks, run.clock));
  const { output } = yield* continuable(tasks, run, { input, deadline });
  return yield* placed(
    '/output',
    transformFlowOutput(run, { ...constants, context: run.context, steps, data: output }),
  );
}

function* transformFlowOutput(run: FlowRun, variables: Variables): Routine<Json> {
  const { output } = run.plan;
  const { output: result = variables.data } = yield* run.evaluate(valueItem('output', output?.as), variables);
  if (output?.schema !== undefined) yield* validate(run, output.schema, result, 'output of the flow');
  refuseTooLarge(result, 'output of the flow', run.maxPayloadBytes);
  return result;
}

/** An error that is no task's has the place in the document that it comes from (OWS dsl-reference, "Error": instance). */
function* placed<T>(instance: string, routine: Routine<T>): Routine<T> {
  try {
    return yield* routine;
  } catch (error) {
    throw error instanceof FlowError ? error.at(instance) : error;
  }
}

function* transformInput(run: FlowRun): Routine<{ input: Json; deadline?: Deadline }> {
  const { plan, constants } = run;
  const data = constants.workflow.input ?? null;
  const items = [...valueItem('input', plan.inputFrom), ...valueItem('timeout', plan.timeout)];
  const { input = data, timeout } = yield* run.evaluate(items, { ...constants, data });
  if (timeout === undefined) return { input };
  return { input, deadline: deadlineIn(durationOf(timeout, 'timeout'), run.clock) };
}
