import { NamespaceNotFoundError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { NamespaceClients } from '../../../src/worker/namespace-clients';
import type { Offer } from '../../../src/worker/quota/lines';
import { createOfferSender } from '../../../src/worker/quota/offer-sender';

/** As the client throws what Temporal answers. */
const answer = (code: number): Error =>
  new ServiceError('Failed to signal Workflow', {
    cause: Object.assign(new Error(`code ${code}`), { code, details: '', metadata: {} }),
  });

describe('offers to flows that cannot be told', () => {
  const offer = (flowId: string, ticket: string): Offer => ({ namespace: 'default', flowId, ticket, afterMs: 0 });

  /** A server, of which some flows cannot be signalled. */
  const clientsThat = (failures: Record<string, Error>) =>
    ({
      of: (namespace: string) => {
        if (namespace === 'unknown') throw new Error('no key');
        const signalTo = async (flowId: string): Promise<void> => {
          const failure = failures[flowId];
          if (failure !== undefined) throw failure;
        };
        return { workflow: { getHandle: (flowId: string) => ({ signal: () => signalTo(flowId) }) } };
      },
    }) as unknown as NamespaceClients;

  const gone = { gone: ['a', 'b'], missed: [] };
  const missed = { gone: [], missed: ['a', 'b'] };
  const lapses = { gone: [], missed: [] };

  test.each<[string, Error, object]>([
    ['a flow that has ended', new WorkflowNotFoundError('not found', 'f', undefined), gone],
    ['credentials that have expired (UNAUTHENTICATED)', answer(16), missed],
    ['credentials of another namespace (PERMISSION_DENIED)', answer(7), missed],
    ['a server that does not answer (UNAVAILABLE)', answer(14), missed],
    ['what is none of the server', new Error('no key'), missed],
    ['a flow that takes no more signals (INVALID_ARGUMENT)', answer(3), lapses],
    ['too many calls at once (RESOURCE_EXHAUSTED)', answer(8), lapses],
    ['a namespace that is gone', new NamespaceNotFoundError('default'), lapses],
  ])('%s', async (_, failure, expected) => {
    const sender = createOfferSender(clientsThat({ fails: failure }), { log: () => undefined });
    const offers = [offer('fails', 'a'), offer('hears', 'c'), offer('fails', 'b')];
    expect(await sender.send('acme', offers)).toEqual(expected);
  });

  test('a client that cannot be made misses what is its own', async () => {
    const sender = createOfferSender(clientsThat({}), { log: () => undefined });
    const offers = [{ ...offer('f', 'a'), namespace: 'unknown' }, offer('g', 'b')];
    expect(await sender.send('acme', offers)).toEqual({ gone: [], missed: ['a'] });
  });
});
