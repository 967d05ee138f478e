import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { APPROVAL, EVENT_BUS, RUN_FLOW } from '../dsl/names';
import { closestName } from '../dsl/problems';

/** What any other workflow type runs: without it, a typing error in a start would fail its workflow task for ever. */
export async function unknownWorkflow(): Promise<never> {
  const { workflowType } = workflowInfo();
  const meant = closestName(workflowType, [RUN_FLOW, APPROVAL, EVENT_BUS]) ?? RUN_FLOW;
  const message = `there is no workflow type "${workflowType}"; start one of type "${meant}"`;
  throw ApplicationFailure.create({ message, type: 'BLW_START_INVALID', nonRetryable: true });
}
