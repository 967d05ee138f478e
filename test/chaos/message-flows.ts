import type { JsonObject } from '../../src/dsl/json';
import { type FlowKind, flowOf, insert, NOTHING, started } from './flow-kind';

/** Type of the events that a flow of the kind `told` listens to. */
export function toldType(id: string): string {
  return `chaos.in.${id}`;
}

/** One branch emits what the other one listens to. */
export const EVENTS_KIND: FlowKind = {
  name: 'events',
  ends: 'COMPLETED',
  make: (id) => ({
    args: started(
      flowOf('events', [
        {
          both: {
            fork: {
              branches: [
                { hear: { listen: { to: { one: { with: { type: `chaos.${id}` } } } } } },
                {
                  tell: {
                    do: [
                      // Who listens later does not hear it: told until it was heard would be the flow's own business.
                      { pause: { wait: 'PT2S' } },
                      { say: { emit: { event: { with: { source: `/${id}`, type: `chaos.${id}`, data: { n: 1 } } } } } },
                    ],
                  },
                },
              ],
            },
          },
        },
        { after: insert('lite', `\${ "${id}/heard" + string(size(data[0])) }`) },
      ]),
    ),
    expects: { ...NOTHING, sqlite: [`${id}/heard1`], emits: [`chaos.${id}`] },
  }),
};

/** Hears two events from NATS, of which there are copies: a copy of the first that came through would be taken for the second. */
export const TOLD_KIND: FlowKind = {
  name: 'told by NATS',
  ends: 'COMPLETED',
  act: 'publish',
  needsNats: true,
  make(id) {
    const listen = (): JsonObject => ({ listen: { to: { one: { with: { type: toldType(id) } } } } });
    return {
      args: started(
        flowOf('told', [
          { first: listen() },
          { second: listen() },
          { after: insert('lite', `\${ "${id}/" + steps.first.output[0].n + steps.second.output[0].n }`) },
        ]),
      ),
      expects: { ...NOTHING, sqlite: [`${id}/onetwo`] },
    };
  },
};
