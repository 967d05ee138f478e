import { executeChild, ParentClosePolicy } from '@temporalio/workflow';
import type { ApprovalRequest, ApprovalResult, OnTimeout } from '../../dsl/approval';
import { parseDuration } from '../../dsl/durations';
import { flowError } from '../../dsl/errors';
import { requireObject } from '../../dsl/expressions/batch';
import type { Json, JsonObject } from '../../dsl/json';
import { APPROVAL } from '../../dsl/names';
import type { CallPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import { childError } from '../failures';
import { readable } from '../lost-payload';
import type { TaskFrame, TaskResult } from '../task-frame';
import { validateArguments } from '../validation';
import { priorityOf, summaryOf } from './call-request';
import { childId } from './child-id';

/** Awaits people's decisions in a child workflow of type `approval`; no worker slot is held meanwhile. */
export function* executeHuman(task: CallPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, scope, step, values } = frame;
  const args = requireObject(values, 'with');
  yield* validateArguments(run, task.block, args);
  const workflowId = childId(run.id, task.path, scope.iteration);
  const request = approvalRequest(task, frame, args);
  const summary = summaryOf(task, values, args);
  // The details go out beside the request.
  yield* run.dispatch.enter([request, request.description ?? null]);
  run.status.approvalBegins();
  step.update({ status: 'awaitingApproval', approval: workflowId });
  try {
    const child = executeChild(APPROVAL, {
      workflowId,
      args: [request],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: summary,
      ...(request.description === undefined ? {} : { staticDetails: request.description }),
      priority: priorityOf(task, run),
    });
    const result: ApprovalResult = readable(yield* run.longWait(waitFor(child)), "the approval's result");
    return { output: result as unknown as Json };
  } catch (thrown) {
    throw childError(thrown, workflowId);
  } finally {
    run.status.approvalEnds();
    run.dispatch.leave();
  }
}

function approvalRequest(task: CallPlan, { run, step }: TaskFrame, args: JsonObject): ApprovalRequest {
  const { spans } = run.progress;
  const { title, description, assignees, requiredApprovals, form, timeout, onTimeout, selfApproval } = args;
  return {
    tenant: run.tenant,
    flow: run.plan.flow,
    flowId: run.id,
    stepId: task.path,
    title: String(title),
    ...(description === undefined ? {} : { description: String(description) }),
    ...(assignees === undefined ? {} : { assignees: assignees as NonNullable<ApprovalRequest['assignees']> }),
    requiredApprovals: (requiredApprovals as number | undefined) ?? 1,
    ...(form === undefined ? {} : { form: form as JsonObject }),
    ...(timeout === undefined ? {} : { timeoutMs: timeoutOf(timeout) }),
    onTimeout: (onTimeout as OnTimeout | undefined) ?? 'fail',
    selfApproval: selfApproval === true,
    ...(run.prepared.requestedBy === undefined ? {} : { requestedBy: run.prepared.requestedBy }),
    ...run.proof,
    ...(spans === undefined || step.span === undefined ? {} : { trace: spans.belowOf(step.span) }),
  };
}

function timeoutOf(timeout: Json): number {
  const parsed = parseDuration(timeout);
  if ('problem' in parsed) throw flowError('BLW_ARG_INVALID', `human.approval: timeout: ${parsed.problem}`);
  return parsed.ms;
}
