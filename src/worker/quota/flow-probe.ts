import { type WorkflowExecutionDescription, WorkflowNotFoundError } from '@temporalio/client';
import type { FlowAddress } from './lines';
import type { NamespaceClients } from './namespace-clients';

/** Asks Temporal whether the flow that began with a run is open still: in that run, or in one that it continued as. */
export type FlowProbe = (flow: FlowAddress & { readonly tenant: string }, runId: string) => Promise<boolean>;

/** Throws where Temporal does not answer. */
export function createFlowProbe(clients: NamespaceClients): FlowProbe {
  return async ({ namespace, flowId, tenant }, runId) => {
    const { workflow } = clients.of(namespace, tenant);
    const describe = (run?: string): Promise<WorkflowExecutionDescription> =>
      workflow.getHandle(flowId, run).describe();
    try {
      const begun = await describe(runId);
      if (begun.status.name !== 'CONTINUED_AS_NEW') return begun.status.name === 'RUNNING';
      const last = await describe();
      return last.status.name === 'RUNNING' && firstRunOf(last) === firstRunOf(begun);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  };
}

function firstRunOf({ raw }: WorkflowExecutionDescription): string | null | undefined {
  return raw.workflowExecutionInfo?.firstRunId;
}
