import { isGrpcServiceError } from '@temporalio/client';
import { within } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import type { Logger } from '../logger';
import type { NamespaceClients } from '../namespace-clients';
import { runOfPlace } from './flow-admission';
import type { FlowAddress } from './lines';

/** Asks Temporal whether the flow that began with a run is open still: in that run, or in one that came of it. */
export type FlowProbe = (flow: FlowAddress & { readonly tenant: string }, firstRunId: string) => Promise<boolean>;

/** How long Temporal is asked about one flow. */
const PROBE_MS = 5_000;

/** Codes of gRPC and of Temporal's API. */
const NOT_FOUND = 5;
const RUNNING = 1;

/**
 * The newest run of the flow's id says all: where it came of the first one, by continuing as new or by a reset, it has the same first
 * run, and it is another flow's otherwise. Throws where Temporal does not answer.
 */
export function createFlowProbe(clients: NamespaceClients): FlowProbe {
  return async ({ namespace, flowId: workflowId, tenant }, firstRunId) => {
    try {
      // Not by a handle, which reads the memo, too: that may be encrypted with a key that is not here.
      const { workflowService } = clients.of(namespace, tenant);
      const request = { namespace, execution: { workflowId, runId: '' } };
      const { workflowExecutionInfo: newest } = await workflowService.describeWorkflowExecution(request);
      return newest?.status === RUNNING && newest.firstRunId === firstRunId;
    } catch (error) {
      if (isGrpcServiceError(error) && error.code === NOT_FOUND) return false;
      throw error;
    }
  };
}

/** A lease of a flow. */
type FlowLease = { readonly id: string; readonly tenant: string; readonly namespace: string; readonly flow_id: string };

/** Those whose flows have ended. Where Temporal does not answer in time, a flow counts as open: it is asked about again. */
export async function findEnded(
  probe: FlowProbe,
  leases: readonly FlowLease[],
  logger: Logger,
): Promise<readonly FlowLease[]> {
  const asked = leases.map(async (lease) => {
    const { id, tenant, namespace, flow_id: flowId } = lease;
    try {
      return (await within(PROBE_MS, probe({ namespace, flowId, tenant }, runOfPlace(id)))) ? [] : [lease];
    } catch (error) {
      const text = messageOf(error);
      logger.log('debug', 'a flow could not be asked about', { flow_id: flowId, error: text });
      return [];
    }
  });
  return (await Promise.all(asked)).flat();
}
