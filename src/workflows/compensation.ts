import { CancellationScope } from '@temporalio/workflow';
import { type CompensationReport, FlowError, flowError, flowErrorToJson } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import type { FlowPlan, TaskPlan } from '../dsl/planning/plan';
import { tasksOf } from '../dsl/planning/tasks-of';
import { shortText } from '../dsl/problems';
import type { CompensationEntry } from './compensations';
import { drive, type Routine, waitFor } from './drive';
import type { FlowRun } from './flow-run';
import { isHistoryCrowded, isHistoryFull } from './history-room';
import { runTaskList } from './run-task';
import type { TaskScope } from './scope';

/** What is left to undo after a failure, and what it is that went wrong. Travels in history. */
export interface CompensationState {
  /** Absent where the flow was cancelled. */
  readonly error?: JsonObject;
  readonly left: readonly CompensationEntry[];
  readonly report: CompensationReport;
}

/**
 * Undoes steps, the last one first, also in a flow that is cancelled. A compensation that fails for good is noted, and the
 * others go on. `suspend` is called before each where the flow should continue as new, with what is left. A flow that was
 * cancelled does so only in need: its next run is not cancelled, so that Temporal can show its end only as a failure.
 */
export function* compensate(
  run: FlowRun,
  state: CompensationState,
  suspend: (state: CompensationState) => never,
): Routine<CompensationReport> {
  const undo = (): Routine<CompensationReport> => undoAll(run, state, suspend);
  return yield* waitFor(CancellationScope.nonCancellable(() => drive(undo())));
}

/** What a cancelled flow ends with where a step could not be undone: nobody would see it in a cancellation. */
export function compensationFailed(report: CompensationReport): FlowError {
  const steps = report.failed.map(({ step }) => step).join(', ');
  const detail = `the flow was cancelled, and ${report.failed.length} of its steps could not be undone: ${shortText(steps, 500)}`;
  const { data } = flowError('BLW_COMPENSATION_FAILED', detail);
  return new FlowError({ ...data, compensation: report });
}

function* undoAll(
  run: FlowRun,
  { error, left, report }: CompensationState,
  suspend: (state: CompensationState) => never,
): Routine<CompensationReport> {
  const tasks = compensationsOf(run.plan);
  const remaining = [...left];
  let { completed } = report;
  const failed = [...report.failed];
  for (let entry = remaining.at(-1); entry !== undefined; entry = remaining.at(-1)) {
    if (error === undefined ? isHistoryCrowded(run.prepared) : isHistoryFull(run.prepared)) {
      suspend({ ...(error === undefined ? {} : { error }), left: remaining, report: { completed, failed } });
    }
    remaining.pop();
    try {
      yield* undo(run, tasks.get(entry.path) ?? [], entry, error ?? null);
      completed += 1;
    } catch (thrown) {
      if (!(thrown instanceof FlowError)) throw thrown;
      failed.push({ step: entry.path, error: flowErrorToJson(thrown.data) });
    }
  }
  return { completed, failed };
}

function undo(run: FlowRun, tasks: readonly TaskPlan[], entry: CompensationEntry, error: Json): Routine<unknown> {
  const { iteration, depth, steps, output } = entry;
  const scope: TaskScope = {
    iteration,
    depth: depth + 1,
    steps: { ...steps },
    variables: { ...entry.variables, error },
  };
  return runTaskList(run, tasks, output, scope);
}

/** The compensations of a plan, by the path of their steps. */
function compensationsOf(plan: FlowPlan): ReadonlyMap<string, readonly TaskPlan[]> {
  const undoable = [...tasksOf(plan)].filter(([, { compensate }]) => compensate !== undefined);
  return new Map(undoable.map(([path, { compensate }]) => [path, compensate?.tasks ?? []]));
}
