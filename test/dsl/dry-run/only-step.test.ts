import { parse } from 'yaml';
import type { OnlyInput } from '../../../src/dsl/dry-run/only-input';
import { resolveOnly } from '../../../src/dsl/dry-run/only-step';
import type { Json, JsonObject } from '../../../src/dsl/json';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { validateFlow } from '../../../src/dsl/validation/validate-flow';

const DOCUMENT = `
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: cel }
use:
  functions:
    price: { call: http, with: { method: get, endpoint: '\${ "https://example.com/" + context.zone }' } }
do:
  - getOrder: { call: fs.get, with: { path: a } }
  - each:
      for: { in: '\${ steps.getOrder.output.lines }', each: line }
      do:
        - charge:
            call: fs.put
            with: { path: '\${ line.id + steps.getOrder.output.id }', content: '\${ data.line + workflow.input.text }' }
            output: { as: '\${ {"item": index} }' }
        - lot: { for: { in: '\${ line.lots }', each: one }, do: [{ say: { set: { a: '\${ one + line.id + context.x }' } } }] }
  - attempt:
      try: [{ pay: { set: { a: 1 } } }]
      catch: { as: fault, do: [{ mend: { set: { a: '\${ fault.detail }' } } }] }
  - both:
      fork: { branches: [{ left: { do: [{ same: { set: { a: 1 } } }] } }, { right: { do: [{ same: { set: { a: 1 } } }] } }] }
  - refund: { run: { workflow: { namespace: shop, name: refund, version: '1.0.0' } } }
  - cost: { call: price }
  - last: { set: { a: 1 } }
`;

function resolve(only: OnlyInput, document = DOCUMENT) {
  const { flow, problems } = validateFlow(parse(document) as Json);
  if (flow === undefined) throw new Error(JSON.stringify(problems));
  return resolveOnly(planFlow(flow, { isDryRun: true }), only, { n: 1 });
}

const CHARGE = '/do/1/each/do/0/charge';

describe('resolveOnly', () => {
  it.each<[string, OnlyInput, JsonObject]>([
    ['a name', { step: 'getOrder' }, { path: '/do/0/getOrder', input: { n: 1 }, following: 'each', notGiven: {} }],
    ['a path', { step: '/do/6/last' }, { path: '/do/6/last', following: null }],
    [
      'a branch, after which nothing follows',
      { step: 'left' },
      { path: '/do/3/both/fork/branches/0/left', following: null },
    ],
    [
      'the step of a function',
      { step: '/do/5/cost/function' },
      { following: null, notGiven: { '/do/5/cost/function': ['context'] } },
    ],
    ['a handler', { step: 'mend', variables: { fault: {} } }, { variables: { fault: {} }, notGiven: {} }],
    [
      'what its expressions read and it is not given',
      { step: 'charge' },
      {
        following: 'lot',
        notGiven: { [CHARGE]: ['variables.index', 'variables.line', 'steps.getOrder', 'workflowInput'] },
      },
    ],
    [
      'nothing of it where all is given',
      { step: CHARGE, variables: { line: {}, index: 0 }, steps: { getOrder: {} }, workflowInput: null },
      { notGiven: {} },
    ],
    [
      'of the steps below what is not theirs',
      { step: 'each', steps: { getOrder: { lines: [] } } },
      { notGiven: { [CHARGE]: ['workflowInput'], '/do/1/each/do/1/lot/do/0/say': ['context'] } },
    ],
  ])('takes %s', (_, only, plan) => {
    expect(resolve(only)).toMatchObject({ only: plan });
  });

  it.each<[string, string]>([
    ['jq', '${ .line + $line.id + $steps.getOrder.output }'],
    ['jsonata', '${ line + $line.id + $steps.getOrder.output }'],
  ])('tells what is read in %s', (language, expression) => {
    const document = `
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: ${language} }
do:
  - getOrder: { set: { a: 1 } }
  - each: { for: { in: '\${ [1] }', each: line }, do: [{ say: { set: { a: '${expression}' } } }] }
`;
    expect(resolve({ step: 'say' }, document)).toMatchObject({
      only: { notGiven: { '/do/1/each/do/0/say': ['variables.line', 'steps.getOrder'] } },
    });
  });

  it.each<[string, OnlyInput, string]>([
    ['an unknown name', { step: 'getOder' }, 'only: no step is called "getOder"; did you mean "getOrder"?'],
    ['an unknown path', { step: '/do/9' }, 'only: no step has the path "/do/9"'],
    ['a name of two steps', { step: 'same' }, '2 steps are called "same"; write the path: /do/3/both/'],
    [
      'a step of another flow',
      { step: '/do/4/refund/do/0/pay' },
      'is a step of shop/refund:1.0.0, which /do/4/refund runs; start that flow with "only": {"step": "/do/0/pay"}',
    ],
    [
      'a slip in a variable',
      { step: 'charge', variables: { lin: 1 } },
      '"lin" is no variable around /do/1/each/do/0/charge; did you mean "line"?',
    ],
    [
      'a variable of nothing',
      { step: 'last', variables: { line: 1 } },
      'there is no loop and no catch around /do/6/last',
    ],
    [
      'a slip in a step',
      { step: 'last', steps: { getOrdr: 1 } },
      'steps: no step is called "getOrdr"; did you mean "getOrder"?',
    ],
  ])('refuses %s', (_, only, problem) => {
    expect(resolve(only)).toEqual({ problems: [expect.stringContaining(problem)] });
  });

  it('leaves a step of a function that is not known to whoever has the catalog', () => {
    const document = `
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: cel }
do: [{ call: { call: 'price:1.0.0@default' } }]
`;
    expect(resolve({ step: '/do/0/call/function/do/0/x' }, document)).toEqual({ only: undefined });
  });
});
