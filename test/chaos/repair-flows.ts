import { type Act, type FlowKind, flowOf, insert, NOTHING, request, started } from './flow-kind';

/** A request that the service refuses, and does nothing, until its gate is opened. */
const gated = (service: string, id: string, metadata = {}) => request('put', `${service}/gate/${id}`, metadata);

/** Key of its effect. */
const gateKey = (id: string): string => `PUT /gate/${id}`;

/** Fails, and goes on from there: what its POST before the failure did may not be done again. */
export const REDRIVEN_KIND: FlowKind = {
  name: 'redriven',
  ends: 'COMPLETED',
  act: 'redrive',
  make: (id, service) => ({
    args: started(
      flowOf('redriven', [
        { before: insert('lite', `${id}/before`) },
        { post: request('post', `${service}/effect`, { onFailure: 'deadLetter' }) },
        { put: request('put', `${service}/effect/${id}-put`) },
        {
          apart: {
            fork: {
              branches: [{ beside: insert('pg', `${id}/beside`) }, { gate: gated(service, id) }],
            },
          },
        },
        { after: insert('pg', `${id}/after`) },
        // Twice where two runs of the flow go on from the failure.
        { last: request('post', `${service}/effect`, { onFailure: 'deadLetter' }) },
      ]),
    ),
    expects: {
      ...NOTHING,
      http: [`default:${id}:/do/1/post:0:0`, `PUT /effect/${id}-put`, gateKey(id), `default:${id}:/do/5/last:0:0`],
      sqlite: [`${id}/before`],
      postgres: [`${id}/beside`, `${id}/after`],
      mayPark: ['/do/1/post', '/do/5/last'],
    },
  }),
};

/** Waits as a dead letter until the command line has resolved it, always in the same way: so it may be said twice. */
function letter(act: Extract<Act, 'retry' | 'skip' | 'discard'>): FlowKind {
  const isFailing = act === 'discard';
  return {
    name: `letter: ${act}`,
    ends: isFailing ? 'FAILED' : 'COMPLETED',
    ...(isFailing ? { code: 'BLW_HTTP_STATUS' } : {}),
    act,
    make: (id, service) => ({
      args: started(
        flowOf(`letter-${act}`, [
          {
            before: insert('lite', `${id}/before`, {
              metadata: { compensate: [{ undo: insert('lite', `${id}/undo`) }] },
            }),
          },
          { gate: gated(service, id, { onFailure: 'deadLetter' }) },
          { after: insert('pg', `${id}/after`) },
        ]),
      ),
      expects: {
        ...NOTHING,
        parks: ['/do/1/gate'],
        http: act === 'retry' ? [gateKey(id)] : [],
        sqlite: [`${id}/before`, ...(isFailing ? [`${id}/undo`] : [])],
        postgres: isFailing ? [] : [`${id}/after`],
        absent: [...(act === 'retry' ? [] : [gateKey(id)]), ...(isFailing ? [`${id}/after`] : [`${id}/undo`])],
      },
    }),
  };
}

export const LETTER_KINDS: readonly FlowKind[] = [letter('retry'), letter('skip'), letter('discard')];

/** Started by a command that is killed, or called twice at the same moment. */
export const COMMANDED_KIND: FlowKind = {
  name: 'run by command',
  ends: 'COMPLETED',
  isCommanded: true,
  make: (id, service) => ({
    args: started(
      flowOf('commanded', [
        { lite: insert('lite', `${id}/lite`) },
        { post: request('post', `${service}/effect`, { onFailure: 'deadLetter' }) },
        { after: insert('pg', `${id}/after`) },
      ]),
    ),
    expects: {
      ...NOTHING,
      http: [`default:${id}:/do/1/post:0:0`],
      sqlite: [`${id}/lite`],
      postgres: [`${id}/after`],
      mayPark: ['/do/1/post'],
    },
  }),
};
