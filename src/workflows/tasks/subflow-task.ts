import {
  ChildWorkflowCancellationType,
  type ChildWorkflowOptions,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import { FlowError, flowError } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import { RUN_FLOW } from '../../dsl/names';
import type { SubflowPlan } from '../../dsl/planning/plan';
import { MAX_FLOW_DEPTH, type StartInput } from '../../dsl/start';
import { undecodableReason } from '../../dsl/undecodable';
import { type Routine, waitFor } from '../drive';
import { childError } from '../failures';
import { readable } from '../lost-payload';
import type { TaskFrame, TaskResult } from '../task-frame';
import { childTrace } from '../tracing/interceptors';
import { priorityOf } from './call-request';
import { childId } from './child-id';

/**
 * Runs another flow as a child workflow. Awaited, the step's output is the flow's; else the step ends once the flow has
 * started, and puts out its input (OWS dsl-reference, "Run": await). In a dry run it is awaited anyhow, and its output is its report.
 */
export function* executeSubflow(task: SubflowPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, scope, input, values, step } = frame;
  const start = childStart(task, frame, values.with ?? null);
  const workflowId = childId(run.id, task.path, scope.iteration);
  yield* run.dispatch.enter(start);
  step.update({ child: workflowId });
  try {
    const child = yield* waitFor(startChild(RUN_FLOW, childOptions(task, frame, { workflowId, start })));
    if (!task.await && run.rehearsal === undefined) return { output: input };
    const output = readable(yield* run.longWait(waitFor(child.result() as Promise<Json>)), "the flow's output");
    const unreadable = undecodableReason(output);
    if (unreadable !== undefined)
      throw flowError('BLW_BLOCK_FAILED', `the flow's output cannot be read: ${unreadable}`);
    return { output };
  } catch (thrown) {
    throw placed(childError(thrown, workflowId), task.path);
  } finally {
    run.dispatch.leave();
  }
}

/** The child's start input: of the same tenant, asked for by the same person, one level deeper. */
function childStart(task: SubflowPlan, { run, scope }: TaskFrame, input: Json): StartInput {
  const { tenant, prepared, proof, rehearsal } = run;
  const { priorityKey, requestedBy, depth = 0 } = prepared;
  if (depth >= MAX_FLOW_DEPTH) {
    throw flowError('BLW_FLOW_DEPTH', `${task.flow} would be more than ${MAX_FLOW_DEPTH} flows deep`);
  }
  return {
    flow: task.flow,
    input,
    tenant,
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(requestedBy === undefined ? {} : { requestedBy }),
    depth: depth + 1,
    ...(task.await ? { awaited: true as const } : {}),
    ...proof,
    ...rehearsal?.startOf(task, scope),
  };
}

function childOptions(
  task: SubflowPlan,
  { run, step }: TaskFrame,
  { workflowId, start }: { workflowId: string; start: StartInput },
): ChildWorkflowOptions & { args: [StartInput] } {
  return {
    workflowId,
    args: [start],
    staticSummary: task.flow,
    priority: priorityOf({}, run),
    ...(step.span === undefined ? {} : childTrace(run.progress.spans?.contextOf(step.span))),
    ...(task.await
      ? { parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL }
      : {
          // It has nothing to do with this flow any more, however this flow ends.
          parentClosePolicy: ParentClosePolicy.ABANDON,
          cancellationType: ChildWorkflowCancellationType.ABANDON,
        }),
  };
}

/** The child's own error, with this step as its place; where it came from in the child is in the child's history. */
function placed(error: unknown, path: string): unknown {
  return error instanceof FlowError ? new FlowError({ ...error.data, instance: path }, { cause: error }) : error;
}
