import type { JsonObject } from '../../src/dsl/json';
import { type FlowKind, flowOf, insert, NOTHING, request, started } from './flow-kind';

/** Takes more memory than a step may have; its process dies, and the flow goes on. */
export const MEMORY_KIND: FlowKind = {
  name: 'memory',
  ends: 'COMPLETED',
  make: (id) => ({
    args: started(
      flowOf('memory', [
        {
          eat: {
            call: 'sql.query',
            metadata: { onFailure: 'continue', retry: { maximumAttempts: 1 } },
            with: {
              database: 'lite',
              statement:
                'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300) SELECT length(group_concat(hex(randomblob(1000000)))) AS size FROM n',
            },
          },
        },
        { after: insert('lite', `\${ "${id}/" + (has(steps.eat.error) ? steps.eat.error.code : "lived") }`) },
      ]),
    ),
    expects: { ...NOTHING, sqlite: [`${id}/BLW_BLOCK_CRASHED`] },
  }),
};

/** What no worker may trip over. */
export const POISON_KINDS: readonly FlowKind[] = [
  ['no flow', 'BLW_START_INVALID', () => [42]],
  ['no argument', 'BLW_START_INVALID', () => []],
  ['an empty document', 'BLW_FLOW_INVALID', () => started({})],
  [
    'a block that is not known',
    'BLW_FLOW_INVALID',
    () => started(flowOf('poison', [{ a: { call: 'no.such', with: {} } }])),
  ],
  [
    'an endless loop',
    'BLW_STEP_LIMIT',
    () => started(flowOf('poison', [JSON.parse('{"a": {"set": {"n": 1}, "then": "a"}}') as JsonObject])),
  ],
  [
    'a host that is denied',
    'BLW_HTTP_HOST_DENIED',
    () => started(flowOf('poison', [{ a: request('get', 'http://169.254.169.254/') }])),
  ],
  [
    'an expression without end',
    'BLW_EXPR_FAILED',
    () => started(flowOf('poison', [{ a: { set: { n: '${ data.none.at.all }' } } }])),
  ],
].map(([name, code, args]) => ({
  name: `poison: ${name as string}`,
  ends: 'FAILED',
  code: code as string,
  make: () => ({ args: (args as () => readonly unknown[])(), expects: NOTHING }),
}));
