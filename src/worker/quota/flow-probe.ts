import { isGrpcServiceError } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { FlowAddress } from './lines';
import type { NamespaceClients } from './namespace-clients';

/** Asks Temporal whether the flow that began with a run is open still: in that run, or in one that it continued as. */
export type FlowProbe = (flow: FlowAddress, runId: string) => Promise<boolean>;

type Run = temporal.api.workflow.v1.IWorkflowExecutionInfo;

/** Codes of gRPC and of Temporal's API. */
const NOT_FOUND = 5;
const RUNNING = 1;
const CONTINUED_AS_NEW = 6;

/** Throws where Temporal does not answer. */
export function createFlowProbe(clients: NamespaceClients): FlowProbe {
  return async ({ namespace, flowId: workflowId }, firstRun) => {
    // Not by a handle, which reads the memo, too: that may be encrypted.
    const describe = async (runId = ''): Promise<Run> => {
      const request = { namespace, execution: { workflowId, runId } };
      const { workflowExecutionInfo } = await clients.of(namespace).workflowService.describeWorkflowExecution(request);
      return workflowExecutionInfo ?? {};
    };
    try {
      const begun = await describe(firstRun);
      if (begun.status !== CONTINUED_AS_NEW) return begun.status === RUNNING;
      const last = await describe();
      return last.status === RUNNING && last.firstRunId === begun.firstRunId;
    } catch (error) {
      if (isGrpcServiceError(error) && error.code === NOT_FOUND) return false;
      throw error;
    }
  };
}
