import { WorkflowNotFoundError } from '@temporalio/client';
import { QUOTA_SIGNAL } from '../../dsl/names';
import type { QuotaNews } from '../../dsl/quota';
import type { Logger } from '../logger';
import type { NamespaceClients } from '../namespace-clients';
import type { FlowAddress, Offer } from './lines';

/** Tells flows whose turn it is. What does not arrive is no harm: who is not told asks by himself. */
export interface OfferSender {
  /** Gives the tickets of flows that have ended, which nobody will come for. Never throws. */
  send(tenant: string, offers: readonly Offer[]): Promise<readonly string[]>;
  /** Tells flows how many steps of their tenant may run at once now; absent: any number. Never throws. */
  inform(tenant: string, flows: readonly FlowAddress[], concurrentSteps: number | undefined): Promise<void>;
}

/**
 * Sends signals. A flow may be of another namespace of the same server, and of workers without the keys that are here: its news are
 * tickets and numbers, nothing of the tenant's, and go as they are.
 */
export function createOfferSender(clients: NamespaceClients, logger: Logger): OfferSender {
  /** False where the flow has ended. */
  const signal = async (
    tenant: string,
    { namespace, flowId }: FlowAddress,
    lines: readonly QuotaNews[],
  ): Promise<boolean> => {
    try {
      await clients.unencrypted(namespace).workflow.getHandle(flowId).signal(QUOTA_SIGNAL, lines);
      return true;
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      const text = error instanceof Error ? error.message : String(error);
      logger.log('debug', 'a flow could not be told of its quota', { flow_id: flowId, tenant, error: text });
      return true;
    }
  };
  return {
    send: async (tenant, offers) => {
      const gone = await Promise.all(
        byFlow(offers).map(async ([flow, own]) => {
          const lines = own.map(({ ticket, afterMs }) => ({ ticket, afterMs }));
          return (await signal(tenant, flow, lines)) ? [] : own.map(({ ticket }) => ticket);
        }),
      );
      return gone.flat();
    },
    inform: async (tenant, flows, concurrentSteps) => {
      await Promise.all(flows.map((flow) => signal(tenant, flow, [{ concurrentSteps: concurrentSteps ?? null }])));
    },
  };
}

function byFlow(offers: readonly Offer[]): (readonly [FlowAddress, readonly Offer[]])[] {
  const flows = new Map<string, Offer[]>();
  for (const offer of offers) {
    const key = `${offer.namespace}/${offer.flowId}`;
    const own = flows.get(key) ?? [];
    own.push(offer);
    flows.set(key, own);
  }
  return [...flows.values()].flatMap((own) => (own[0] === undefined ? [] : [[own[0], own] as const]));
}
