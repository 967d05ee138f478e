import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { flowText, validFlow } from './marked-flow';

const OWS_EXAMPLES = join(__dirname, '../../../shared/ows/examples');
const examples = (existsSync(OWS_EXAMPLES) ? readdirSync(OWS_EXAMPLES) : []).filter((file) =>
  file.startsWith('call-openapi'),
);

function planArguments(args: string, before = ''): CallPlan['with'] {
  const [task] = planFlow(validFlow(flowText(`- a: { call: openapi, with: ${args} }`, before))).tasks;
  return (task as CallPlan).with;
}

describe('the plan of a call of an operation', () => {
  it('has the endpoint of the document as one with templates, and both authentications resolved', () => {
    const use = `use: { authentications: { shop: { bearer: { token: abc } }, docs: { basic: { username: a, password: b } } } }\n`;
    const document =
      '{ name: pets, endpoint: { uri: "https://x.test/{version}.json", authentication: { use: docs } } }';
    const args = `{ document: ${document}, operationId: get, authentication: { use: shop } }`;
    const endpoint = {
      map: [
        ['uri', { uri: ['https://x.test/', { variable: 'version' }, '.json'] }],
        ['authentication', { value: { basic: { username: 'a', password: 'b' } } }],
      ],
    };
    expect(planArguments(args, use)).toEqual({
      map: [
        [
          'document',
          {
            map: [
              ['endpoint', endpoint],
              ['name', { value: 'pets' }],
            ],
          },
        ],
        ['operationId', { value: 'get' }],
        ['authentication', { value: { bearer: { token: 'abc' } } }],
      ],
    });
  });

  it('is not one of a block that may simply be repeated', () => {
    const flow = flowText('- a: { call: openapi, with: { document: { endpoint: http://x.test }, operationId: a } }');
    expect(planFlow(validFlow(flow)).tasks[0]).toMatchObject({
      block: 'openapi.call',
      idempotent: false,
      resources: 'io',
    });
  });
});

// The specification is beside the project where it is developed, and no part of it.
(examples.length > 0 ? it.each(examples) : it.skip.each(['call-openapi.yaml']))(
  "takes the specification's example %s, but for its language",
  (file) => {
    const { problems } = validateFlowText(readFileSync(join(OWS_EXAMPLES, file), 'utf8'));
    expect(problems.filter(({ code }) => code !== 'BLW_EXPR_LANGUAGE')).toEqual([]);
  },
);
