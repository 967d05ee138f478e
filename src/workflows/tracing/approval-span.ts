import { workflowInfo } from '@temporalio/workflow';
import type { ApprovalRequest, Decision } from '../../dsl/approval';
import { spanIdOf } from '../../dsl/trace';
import { finishSpan } from './span-sink';

/** Ends the span of an approval: how long people took, with an event for each decision. Who decided is not in it. */
export function finishApproval(
  { tenant, flowId, stepId, trace }: ApprovalRequest,
  { outcome, decisions }: { outcome: string; decisions: readonly Decision[] },
): void {
  if (trace?.sampled !== true) return;
  const { runId, workflowId, startTime } = workflowInfo();
  finishSpan({
    trace: trace.id,
    span: spanIdOf(runId, 0),
    ...(trace.parent === undefined ? {} : { parent: trace.parent }),
    ...(trace.state === undefined ? {} : { state: trace.state }),
    name: 'approval',
    kind: 'internal',
    startMs: startTime.getTime(),
    endMs: Date.now(),
    attributes: {
      tenant_id: tenant,
      flow_id: flowId,
      step_id: stepId,
      block_type: 'human.approval',
      'beamline.approval_id': workflowId,
      'beamline.approval.outcome': outcome,
    },
    ...(decisions.length === 0
      ? {}
      : { events: decisions.map(({ decision, at }) => ({ name: decision, atMs: Date.parse(at) })) }),
  });
}
