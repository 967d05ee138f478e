import {
  CancellationScope,
  CancelledFailure,
  isCancellation,
  makeContinueAsNewFunc,
  workflowInfo,
} from '@temporalio/workflow';
import type { WindowAdmission } from '../dsl/admission';
import { FlowError, flowError } from '../dsl/errors';
import { isJsonObject } from '../dsl/json';
import { RUN_WINDOW } from '../dsl/names';
import { undecodableReason } from '../dsl/undecodable';
import { abandon } from './abandon';
import type { CompensationEntry } from './compensations';
import { receiveResolutions } from './dead-letters';
import { drive, type Routine } from './drive';
import { type RehearsalState, rehearsalAfter } from './dry-run/rehearsal-state';
import type { InboxState } from './events/event-inbox';
import { receiveEvents } from './events/flow-events';
import { toWorkflowFailure } from './failures';
import { belongToStated } from './flow-owner';
import { FlowRun, type RunParts } from './flow-run';
import { proxyBoundedActivities } from './local-activities';
import { readable } from './lost-payload';
import type { ProgressState } from './progress-tracker';
import { type QuotaLineState, receiveOffers } from './quota/quota-line';
import { runOrigin } from './run-origin';
import { runTask, runTaskList } from './run-task';
import { ContinueAsNew, runToEnd } from './run-to-end';
import { type ItemsCursor, Suspension } from './suspension';
import type { TaskFrame } from './task-frame';
import { type ItemsResult, runItems } from './tasks/parallel-for';
import type { WindowRequest } from './window';

/** What a window that continues as new brings along. */
interface CarriedWindow {
  readonly cursor: ItemsCursor;
  readonly progress: ProgressState;
  readonly events?: InboxState;
  readonly quota?: QuotaLineState;
  readonly compensations: readonly CompensationEntry[];
  /** The window's own. */
  readonly grant?: string;
  /** Of a dry run. */
  readonly rehearsal?: RehearsalState;
}

/** Gives the window a grant of its own, for that of the flow: a grant is good for one workflow only. */
const { admitWindow } = proxyBoundedActivities<{ admitWindow(request: WindowAdmission): Promise<string> }>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/** Runs a batch of a large loop; started by flows only. The result is what became of the items. */
export async function runWindow(request: WindowRequest, carried?: CarriedWindow): Promise<ItemsResult> {
  refuseForeignStart(request, carried);
  return await runToEnd<ItemsResult, CarriedWindow>({
    body: async (progress) => {
      belongToStated(request.prepared);
      readable(request, 'the items of the loop');
      const state = carried === undefined ? undefined : readable(carried, 'the state of the loop');
      const inbox = receiveEvents(progress, state?.events);
      if (state !== undefined) progress.restore(state.progress);
      const quota = receiveOffers(state?.quota);
      const letters = receiveResolutions(progress);
      let result: Promise<ItemsResult>;
      try {
        const grant = request.prepared.grant === undefined ? undefined : await grantOf(request, state);
        result = drive(runBatch(withGrant(request, grant), state, { progress, inbox, quota, letters }));
      } finally {
        letters.restored();
      }
      return await result;
    },
    continueAsNew: makeContinueAsNewFor(request),
  });
}

async function grantOf(
  { prepared: { grant = '', tenant } }: WindowRequest,
  carried: CarriedWindow | undefined,
): Promise<string> {
  return carried?.grant ?? (await admitWindow({ grant, tenant, origin: runOrigin() }));
}

function withGrant(request: WindowRequest, grant: string | undefined): WindowRequest {
  return grant === undefined ? request : { ...request, prepared: { ...request.prepared, grant } };
}

function makeContinueAsNewFor(request: WindowRequest): (carried: CarriedWindow) => Promise<never> {
  const goOn = makeContinueAsNewFunc<typeof runWindow>({ workflowType: RUN_WINDOW });
  return (carried) => goOn(request, carried);
}

function* runBatch(request: WindowRequest, carried: CarriedWindow | undefined, parts: RunParts): Routine<ItemsResult> {
  const { prepared, workflowInput: input, startedAt, flowId: id, task, items, firstIndex } = request;
  const { cursor: from, compensations: before = [] } = carried ?? {};
  const begun = request.begun === undefined ? undefined : rehearsalAfter(request.begun);
  const rehearsal = carried === undefined ? begun : carried.rehearsal;
  const run = new FlowRun({ prepared, input, ...parts, startedAt, id, compensations: before, rehearsal });
  run.context = request.context;
  if (from === undefined) run.publishIdentity();
  const { concurrency, tolerated } = request;
  try {
    const result = yield* runItems({ task, items, firstIndex, concurrency, tolerated }, frameOf(run, request, from));
    return withCompensations(result, run);
  } catch (thrown) {
    const { entries: compensations } = run.compensations;
    const isCancelled = isCancellation(thrown) || CancellationScope.current().consideredCancelled;
    if (thrown instanceof Suspension && !isCancelled) {
      const cursor = thrown.cursor as ItemsCursor;
      const [progress, events, quota] = [run.progress.state(), run.inbox.state(), run.quota.state()];
      throw new ContinueAsNew<CarriedWindow>({
        cursor,
        progress,
        compensations,
        events,
        ...(quota === undefined ? {} : { quota }),
        ...run.proof,
        ...(run.rehearsal === undefined ? {} : { rehearsal: run.rehearsal.state({ onlyEnded: true }) }),
      });
    }
    if (thrown instanceof Suspension) yield* abandon(run, { cursors: [thrown.cursor], steps: thrown.steps });
    const error = isCancelled ? new CancelledFailure('the window was cancelled') : thrown;
    const broken = brokenBy(error);
    // What is to be undone, and that the window did not end well, only a result can tell together.
    if (broken === undefined || (compensations.length === 0 && run.rehearsal === undefined)) throw error;
    return withCompensations({ outputs: [], failures: [], broken }, run);
  }
}

function brokenBy(error: unknown): ItemsResult['broken'] {
  if (error instanceof CancelledFailure) return 'cancelled';
  return error instanceof FlowError ? { error: error.data } : undefined;
}

function withCompensations(result: ItemsResult, { compensations: { entries }, rehearsal }: FlowRun): ItemsResult {
  return {
    ...result,
    ...(entries.length === 0 ? {} : { compensations: entries }),
    ...(rehearsal === undefined ? {} : { rehearsal: rehearsal.state({ onlyEnded: false }) }),
  };
}

/** The frame of the loop's task, as it is in the flow. */
function frameOf(run: FlowRun, request: WindowRequest, from: ItemsCursor | undefined): TaskFrame {
  const { input, variables, steps, iteration, depth, task } = request;
  const step = run.progress.begin({ id: task.path, name: task.name, block: task.kind });
  // It has a span in the flow.
  if (step.span !== undefined) run.progress.spans?.forget(step.span);
  return {
    run,
    scope: { variables, steps, iteration, depth },
    input,
    variables: { ...variables, ...run.constants, steps, context: run.context, input, data: input },
    values: {},
    step,
    generation: 0,
    from,
    runList: (tasks, listInput, listScope, listFrom) => runTaskList(run, tasks, listInput, listScope, listFrom),
    runOne: (inner, taskInput, taskScope, taskFrom) => runTask(run, inner, taskInput, taskScope, taskFrom),
  };
}

/** A window is started by a flow, which has validated what it brings; a start by hand fails at once. */
function refuseForeignStart(request: unknown, carried: unknown): void {
  const { parent, continuedFromExecutionRunId } = workflowInfo();
  const isReadable = isJsonObject(request) && undecodableReason(request) === undefined;
  if (parent !== undefined && isReadable && (carried === undefined) === (continuedFromExecutionRunId === undefined))
    return;
  throw toWorkflowFailure(flowError('BLW_START_INVALID', 'windows of loops are started by flows; start a runFlow'));
}
