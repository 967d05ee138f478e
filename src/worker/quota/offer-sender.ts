import { isGrpcServiceError, NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/client';
import { messageOf } from '../../dsl/errors';
import { QUOTA_SIGNAL } from '../../dsl/names';
import type { QuotaNews } from '../../dsl/quota';
import type { Logger } from '../logger';
import type { NamespaceClients } from '../namespace-clients';
import type { FlowAddress, Offer } from './lines';

/** What became of offers that nobody will come for, as their tickets. */
export interface Undelivered {
  /** Of flows that have ended. */
  readonly gone: readonly string[];
  /** Of flows that this worker does not reach; another may. */
  readonly missed: readonly string[];
}

/** Tells flows whose turn it is. What does not arrive is no harm: who is not told asks by himself. */
export interface OfferSender {
  /** Never throws. */
  send(tenant: string, offers: readonly Offer[]): Promise<Undelivered>;
  /** Tells flows how many steps of their tenant may run at once now; absent: any number. Never throws. */
  inform(tenant: string, flows: readonly FlowAddress[], concurrentSteps: number | undefined): Promise<void>;
}

/** What became of a signal; `told` also where nobody else can tell the flow either. */
type Delivery = 'told' | 'gone' | 'missed';

/** INVALID_ARGUMENT (Temporal: a flow takes 10,000 signals), RESOURCE_EXHAUSTED, FAILED_PRECONDITION (gRPC, "Status codes"). */
const CODES_OF_FLOW: readonly number[] = [3, 8, 9];

/**
 * Sends signals. A flow may be of another namespace of the same server, and of workers without the keys that are here: its news are
 * tickets and numbers, nothing of the tenant's, and go as they are.
 */
export function createOfferSender(clients: NamespaceClients, logger: Logger): OfferSender {
  const signal = async (
    tenant: string,
    { namespace, flowId }: FlowAddress,
    lines: readonly QuotaNews[],
  ): Promise<Delivery> => {
    try {
      await clients.unencrypted(namespace).workflow.getHandle(flowId).signal(QUOTA_SIGNAL, lines);
      return 'told';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'gone';
      const text = messageOf(error);
      logger.log('debug', 'a flow could not be told of its quota', { flow_id: flowId, tenant_id: tenant, error: text });
      return isOfFlow(error) ? 'told' : 'missed';
    }
  };
  return {
    send: async (tenant, offers) => {
      const told = await Promise.all(
        byFlow(offers).map(async ([flow, own]) => {
          const lines = own.map(({ ticket, afterMs }) => ({ ticket, afterMs }));
          const delivery = await signal(tenant, flow, lines);
          return own.map(({ ticket }) => ({ ticket, delivery }));
        }),
      );
      const ticketsOf = (wanted: Delivery) =>
        told.flat().flatMap(({ ticket, delivery }) => (delivery === wanted ? [ticket] : []));
      const missed = ticketsOf('missed');
      if (missed.length > 0) {
        logger.log('warn', 'flows cannot be told that it is their turn; it is left to other workers', {
          tenant_id: tenant,
          steps: missed.length,
        });
      }
      return { gone: ticketsOf('gone'), missed };
    },
    inform: async (tenant, flows, concurrentSteps) => {
      await Promise.all(flows.map((flow) => signal(tenant, flow, [{ concurrentSteps: concurrentSteps ?? null }])));
    },
  };
}

/** True where another worker would fare no better: the flow takes no more signals, or there are too many at once. Its offer lapses. */
function isOfFlow(error: unknown): boolean {
  if (error instanceof NamespaceNotFoundError) return true;
  const cause = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  return isGrpcServiceError(cause) && CODES_OF_FLOW.includes(cause.code);
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
