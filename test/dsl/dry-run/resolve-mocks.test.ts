import { parse } from 'yaml';
import { resolveMocks } from '../../../src/dsl/dry-run/resolve-mocks';
import type { Json, JsonObject } from '../../../src/dsl/json';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { validateFlow } from '../../../src/dsl/validation/validate-flow';

const DOCUMENT = parse(`
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: cel }
use:
  functions:
    price: { call: http, with: { method: get, endpoint: 'https://example.com/' } }
do:
  - getOrder: { call: fs.get, with: { path: a }, metadata: { mock: { output: { content: 'of the document' } } } }
  - both:
      fork:
        branches:
          - left: { do: [{ charge: { call: fs.get, with: { path: a } } }] }
          - right: { do: [{ charge: { call: fs.get, with: { path: b } } }] }
  - refund: { run: { workflow: { namespace: shop, name: refund, version: '1.0.0' } } }
  - cost: { call: price }
  - ask: { call: human.approval, with: { title: x } }
  - note: { set: { a: 1 } }
  - keep:
      call: fs.put
      with: { path: a, content: b }
      metadata: { compensate: [{ drop: { call: fs.delete, with: { path: a } } }] }
`) as Json;

function resolve(mocks: JsonObject) {
  const { flow, problems } = validateFlow(DOCUMENT);
  if (flow === undefined) throw new Error(JSON.stringify(problems));
  return resolveMocks(planFlow(flow, { isDryRun: true }), mocks);
}

const ONE = { output: {} };
const REQUESTED = { answers: [ONE], source: 'request' };
const DOCUMENTED = { '/do/0/getOrder': { answers: [{ output: { content: 'of the document' } }], source: 'document' } };

describe('resolveMocks', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['nothing', {}, {}],
    ['a name', { keep: ONE }, { '/do/6/keep': REQUESTED }],
    [
      'a path',
      { '/do/1/both/fork/branches/0/left/do/0/charge': ONE },
      { '/do/1/both/fork/branches/0/left/do/0/charge': REQUESTED },
    ],
    ['a step of the document, before its own', { getOrder: ONE }, { '/do/0/getOrder': REQUESTED }],
    ['a compensation', { drop: ONE }, { '/do/6/keep/metadata/compensate/0/drop': REQUESTED }],
    ['the step in a function', { '/do/3/cost/function': ONE }, { '/do/3/cost/function': REQUESTED }],
    [
      'an approval',
      { ask: { decision: 'rejected' } },
      { '/do/4/ask': { answers: [{ decision: 'rejected' }], source: 'request' } },
    ],
    [
      'the steps of another flow',
      { refund: { mocks: { pay: ONE } } },
      { '/do/2/refund': { answers: [], inner: { pay: ONE }, source: 'request' } },
    ],
    [
      'a step of another flow by its path',
      { '/do/2/refund/do/0/pay': ONE, refund: { mocks: { ask: ONE } } },
      { '/do/2/refund': { answers: [], inner: { '/do/0/pay': ONE, ask: ONE }, source: 'request' } },
    ],
  ])('takes %s', (_, mocks, table) => {
    expect(resolve(mocks)).toEqual({ mocks: { ...DOCUMENTED, ...table } });
  });

  it.each<[string, JsonObject, string]>([
    ['an unknown name', { getOder: ONE }, 'no step is called "getOder"; did you mean "getOrder"?'],
    ['a name like no other', { zzzzzz: ONE }, 'no step is called "zzzzzz"; there are: getOrder, both'],
    ['a name of Object', { constructor: ONE }, 'no step is called "constructor"'],
    [
      'an unknown path',
      { '/do/0/getOder': ONE },
      'no step has the path "/do/0/getOder"; did you mean "/do/0/getOrder"?',
    ],
    ['a name of two steps', { cost: ONE, charge: ONE }, '2 steps are called "charge"; write the path: /do/1/both/'],
    ['a step twice', { keep: ONE, '/do/6/keep': ONE }, '/do/6/keep is mocked twice'],
    ['a step that reaches nothing', { note: ONE }, '/do/5/note is a set task, which reaches nothing'],
    ['a wrong answer', { keep: { outptu: 1 } }, '"keep": got {"outptu":1}, did you mean "output"?'],
    ['an output of an approval', { ask: ONE }, '"ask": got {"output":{}}, expected {"decision": "approved"}'],
    ['rounds of a step in no loop', { keep: { rounds: [ONE] } }, '"keep": rounds: /do/6/keep is in no loop; write one'],
    ['a flow as a whole and in part', { refund: ONE, '/do/2/refund/do/0/pay': ONE }, 'is mocked as a whole'],
  ])('refuses %s', (_, mocks, problem) => {
    expect(resolve(mocks)).toEqual({
      problems: [{ path: expect.any(Array), message: expect.stringContaining(problem) }],
    });
  });

  it.each([
    ['a for', 'each: { for: { in: [1], each: n }, do: [{ a: { call: fs.get, with: { path: a } } }] }'],
    ['a then', 'a: { call: fs.get, with: { path: a }, then: a }'],
    ['a case', 'a: { call: fs.get, with: { path: a } } }, { b: { switch: [{ c: { then: a } }] }'],
    ['a catch', 'a: { call: fs.get, with: { path: a } } }, { b: { try: [{ c: { wait: PT1S } }], catch: { then: a } }'],
  ])('takes rounds of a step to which %s may lead again', (_, step) => {
    const { flow, problems } = validateFlow({
      document: { dsl: '1.0.3', namespace: 'shop', name: 'order', version: '1.0.0' },
      do: parse(`[{ ${step} }]`) as Json,
    });
    if (flow === undefined) throw new Error(JSON.stringify(problems));
    expect(resolveMocks(planFlow(flow), { a: { rounds: [ONE] } })).toHaveProperty('mocks');
  });

  it('says where each mistake stands', () => {
    const mocks = {
      getOder: ONE,
      keep: [{ output: {} }, { output: { size: 'x' } }],
      '/do/2/refund/do/0/pay': ONE,
      refund: ONE,
    };
    const resolved = resolve(mocks);
    expect('problems' in resolved && resolved.problems.map(({ path }) => path)).toEqual([
      ['getOder'],
      ['keep', 1, 'output', 'size'],
      ['/do/2/refund/do/0/pay'],
    ]);
  });
});
