import { Client, WorkflowNotFoundError } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { QUOTA_SIGNAL } from '../../dsl/names';
import type { QuotaOffer } from '../../dsl/quota';
import type { Logger } from '../logger';
import type { Offer } from './lines';

/** Tells flows whose turn it is. */
export interface OfferSender {
  /** Gives the tickets of flows that have ended, which nobody will come for. Never throws: who is not told asks by himself. */
  send(offers: readonly Offer[]): Promise<readonly string[]>;
}

/** Sends offers as signals, one to each flow. A flow's tickets may be of another namespace of the same server. */
export function createOfferSender(connection: NativeConnection, logger: Logger): OfferSender {
  const clients = new Map<string, Client>();
  const clientOf = (namespace: string): Client => {
    const client = clients.get(namespace) ?? new Client({ connection, namespace });
    clients.set(namespace, client);
    return client;
  };
  const sendTo = async (offers: readonly Offer[]): Promise<readonly string[]> => {
    const [first] = offers;
    if (first === undefined) return [];
    const lines = offers.map<QuotaOffer>(({ ticket, afterMs }) => ({ ticket, afterMs }));
    try {
      await clientOf(first.namespace).workflow.getHandle(first.flowId).signal(QUOTA_SIGNAL, lines);
      return [];
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return offers.map(({ ticket }) => ticket);
      logger.log('debug', 'a flow could not be told that it is its turn', {
        flow_id: first.flowId,
        error: error instanceof Error ? error.message : String(error),
      });
      return [];
    }
  };
  return {
    send: async (offers) => {
      const byFlow = new Map<string, Offer[]>();
      for (const offer of offers) {
        const key = `${offer.namespace}/${offer.flowId}`;
        byFlow.set(key, [...(byFlow.get(key) ?? []), offer]);
      }
      const gone = await Promise.all([...byFlow.values()].map(sendTo));
      return gone.flat();
    },
  };
}
