import { CancellationScope, CancelledFailure, makeContinueAsNewFunc, workflowInfo } from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import { RUN_FLOW } from '../dsl/names';
import type { PreparedFlow } from '../dsl/start';
import { abandon } from './abandon';
import type { CompensationState } from './compensation';
import type { CompensationEntry } from './compensations';
import type { Routine } from './drive';
import type { RehearsalState } from './dry-run/rehearsal-state';
import type { InboxState } from './events/event-inbox';
import { FlowRun, type RunParts } from './flow-run';
import type { ProgressState } from './progress-tracker';
import type { QuotaLineState } from './quota/quota-line';
import { ContinueAsNew } from './run-to-end';
import { type ListCursor, Suspension } from './suspension';
import type { Deadline } from './timeouts';

/**
 * What a flow that continues as new brings along: the plan it began with, and where it stands. It is in histories: add
 * optional fields, never change one.
 */
export interface CarriedFlow {
  readonly prepared: PreparedFlow;
  /** The flow's raw input, which expressions may read. */
  readonly workflowInput: Json;
  readonly startedAt: number;
  /** The flow's transformed input. */
  readonly input: Json;
  readonly deadline?: Deadline;
  readonly context: Json;
  readonly list: ListCursor;
  readonly progress: ProgressState;
  readonly events?: InboxState;
  readonly quota?: QuotaLineState;
  readonly compensations?: readonly CompensationEntry[];
  /** Of a dry run. */
  readonly rehearsal?: RehearsalState;
  /** The flow has failed, and undoes its steps. */
  readonly compensating?: CompensationState;
}

/**
 * Runs the flow's tasks; where they are suspended, throws {@link ContinueAsNew}. A cancellation that came just then counts
 * more: the next run would not hear of it.
 */
export function* continuable<T>(
  tasks: Routine<T>,
  run: FlowRun,
  { input, deadline }: { input: Json; deadline: Deadline | undefined },
): Routine<T> {
  try {
    return yield* tasks;
  } catch (error) {
    if (!(error instanceof Suspension)) throw error;
    if (CancellationScope.current().consideredCancelled) {
      yield* abandon(run, { cursors: [error.cursor], steps: error.steps });
      throw new CancelledFailure('the flow was cancelled');
    }
    throw new ContinueAsNew<CarriedFlow>({
      ...carriedOf(run),
      input,
      ...(deadline === undefined ? {} : { deadline }),
      list: error.cursor as ListCursor,
      compensations: run.compensations.entries,
    });
  }
}

/** Leaves a flow that undoes its steps, with those that are left. */
export function continueUndoing(run: FlowRun, compensating: CompensationState): ContinueAsNew<CarriedFlow> {
  const list: ListCursor = { index: 0, output: null, visits: {}, steps: {} };
  return new ContinueAsNew<CarriedFlow>({ ...carriedOf(run), input: null, list, compensating }, true);
}

function carriedOf(
  run: FlowRun,
): Pick<
  CarriedFlow,
  'prepared' | 'workflowInput' | 'startedAt' | 'context' | 'progress' | 'events' | 'quota' | 'rehearsal'
> {
  const { prepared, startedAt, context } = run;
  const workflowInput = run.constants.workflow.input ?? null;
  const [progress, events, quota] = [run.progress.state(), run.inbox.state(), run.quota.state()];
  return {
    prepared,
    workflowInput,
    startedAt,
    context,
    progress,
    events,
    ...(quota === undefined ? {} : { quota }),
    ...(run.rehearsal === undefined ? {} : { rehearsal: run.rehearsal.state({ onlyEnded: true }) }),
  };
}

/**
 * Goes on in a new run with an empty history. Its first argument stays readable in Temporal's UI. The attributes and the
 * memo go along by themselves.
 */
export async function continueFlow(carried: CarriedFlow): Promise<never> {
  const { prepared } = carried;
  const start: JsonObject = { flow: prepared.plan.flow, tenant: prepared.tenant };
  const goOn = makeContinueAsNewFunc<(start: JsonObject, carried: CarriedFlow) => Promise<Json>>({
    workflowType: RUN_FLOW,
  });
  return await goOn(start, carried);
}

/** True where this run was continued from another by the flow itself, so that what is carried can be trusted. */
export function isContinued(): boolean {
  const { continuedFromExecutionRunId, cronSchedule } = workflowInfo();
  return continuedFromExecutionRunId !== undefined && cronSchedule === undefined;
}

/**
 * The run that a flow goes on with. Throws BLW_START_INVALID where it was not continued as new: what is carried has been
 * checked by the run before, so that nobody else may bring it.
 */
export function resumeRun(carried: CarriedFlow, parts: RunParts): FlowRun {
  if (!isContinued()) {
    throw flowError('BLW_START_INVALID', 'a flow is started with one argument; send only the start input');
  }
  const { prepared, workflowInput: input, startedAt, context } = carried;
  parts.progress.restore(carried.progress);
  const { compensations = [], rehearsal } = carried;
  const run = new FlowRun({ prepared, input, ...parts, startedAt, compensations, rehearsal });
  run.context = context;
  return run;
}
