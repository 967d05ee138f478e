import fc from 'fast-check';
import type { FlowPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { flowText, validFlow } from './marked-flow';

function planOf(text: string): FlowPlan {
  return planFlow(validFlow(text));
}

describe('references', () => {
  const read = (expression: string) =>
    planOf(flowText(`- a: { wait: PT1S }\n- b: { wait: PT1S }\n- c: { set: { x: '\${ ${expression} }' } }`));

  it.each<[string, readonly string[] | true]>([
    ['data', []],
    ['steps.b.output + steps.a.output', ['a', 'b']],
    ['steps[data.name].output', true],
    ['toJson(steps)', true],
  ])('of %s to steps', (expression, steps) => {
    expect(read(expression).stepOutputs).toEqual(steps);
  });

  it.each([
    ['if', '{ if: steps.z.output, wait: PT1S }'],
    ['when', '{ switch: [{ x: { when: steps.z.output, then: end } }] }'],
    ['while', '{ for: { in: data }, while: steps.z.output, do: [{ b: { wait: PT1S } }] }'],
    ['for.in', '{ for: { in: steps.z.output }, do: [{ b: { wait: PT1S } }] }'],
    ['with', "{ call: fs.get, with: { path: 'a/${ steps.z.output }' } }"],
    ['a summary', "{ call: fs.list, metadata: { summary: '${ steps.z.output }' } }"],
    ['an endpoint', "{ call: http, with: { method: get, endpoint: '${ steps.z.output }' } }"],
    ['a wait', "{ wait: '${ steps.z.output }' }"],
    ['a timeout', "{ timeout: { after: '${ steps.z.output }' }, wait: PT1S }"],
    ['an error', "{ raise: { error: { type: a, status: 400, detail: '${ steps.z.output }' } } }"],
    ['input.from', '{ input: { from: steps.z.output }, wait: PT1S }'],
    ['output.as', "{ output: { as: { a: '${ steps.z.output }' } }, wait: PT1S }"],
    ['export.as', '{ export: { as: steps.z.output }, wait: PT1S }'],
    ['catch.when', '{ try: [{ b: { wait: PT1S } }], catch: { when: steps.z.output } }'],
    ['catch.exceptWhen', '{ try: [{ b: { wait: PT1S } }], catch: { exceptWhen: steps.z.output } }'],
    ['retry.when', '{ try: [{ b: { wait: PT1S } }], catch: { retry: { when: steps.z.output } } }'],
    ['retry.delay', "{ try: [{ b: { wait: PT1S } }], catch: { retry: { delay: '${ steps.z.output }' } } }"],
    [
      'retry.jitter',
      "{ try: [{ b: { wait: PT1S } }], catch: { retry: { jitter: { from: PT0S, to: '${ steps.z.output }' } } } }",
    ],
    ['a nested step', '{ do: [{ b: { fork: { branches: [{ c: { set: steps.z.output } }] } } }] }'],
    ['catch.do', '{ try: [{ b: { wait: PT1S } }], catch: { do: [{ c: { set: steps.z.output } }] } }'],
  ])('are found in %s', (_place, task) => {
    expect(planOf(flowText(`- z: { wait: PT1S }\n- a: ${task}`)).stepOutputs).toEqual(['z']);
  });

  it('are found in the output of the flow, and not in data that looks like an expression', () => {
    expect(planOf(flowText('- z: { wait: PT1S }', 'output: { as: steps.z.output }\n')).stepOutputs).toEqual(['z']);
    const task = '{ wait: PT1S, output: { schema: { document: { const: { if: steps.z.output, expr: steps.z } } } } }';
    expect(planOf(flowText(`- z: ${task}\n- y: { set: { when: steps.z, expr: steps.z } }`)).stepOutputs).toEqual([]);
  });

  it.each([
    ['workflow.definition.document.name', true],
    ['task.definition.set', true],
    ['task["definition"]', true],
    ['data.name', false],
    ['workflow.input.x', false],
  ])('to the definition bring the document along: %s', (expression, isThere) => {
    const flow = validFlow(flowText(`- a: { set: { x: '\${ ${expression} }' } }`));
    expect(planFlow(flow).definition).toEqual(isThere ? flow : undefined);
  });
});

describe('a plan', () => {
  const KINDS = [
    'wait: PT1S',
    'set: { x: -0, y: [1.5, null, { z: "${ data }" }] }',
    'set: { __proto__: { a: 1 }, constructor: "${ data }" }',
    'call: fs.put, with: { path: "${ data.p }", content: { a: [] } }, metadata: { retry: { maximumAttempts: 1 } }',
    'call: http, with: { method: GET, endpoint: "http://x.test/{a}/{b}", query: { q: null } }',
    'call: human.approval, with: { title: "T ${ data }", form: { type: object } }',
    'do: [{ x: { wait: { minutes: 1 } } }], output: { as: "${ {} }" }',
    'for: { in: [{ a: 1 }] }, do: [{ x: { set: { y: "${ item.a + index }" } } }]',
    'fork: { branches: [{ x: { wait: PT1S } }], compete: true }',
    'try: [{ x: { wait: PT1S } }], catch: { errors: { with: { status: 400 } }, retry: { delay: PT1S } }',
    'raise: { error: { type: t, status: 400, detail: "${ toJson(data) }" } }',
    'switch: [{ x: { when: data.x == 1, then: end } }]',
  ];
  const tasks = fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 8 });
  const textOf = (kinds: readonly string[]) =>
    flowText(kinds.map((kind, index) => `- s${index}: { ${kind} }`).join('\n'));

  it('is the same after a journey as JSON', () => {
    fc.assert(
      fc.property(tasks, (kinds) => {
        const plan = planOf(textOf(kinds));
        expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
      }),
      { numRuns: 100 },
    );
  });

  it('is the same each time, and leaves the document as it was', () => {
    fc.assert(
      fc.property(tasks, (kinds) => {
        const flow = validFlow(textOf(kinds));
        const before = JSON.stringify(flow);
        const first = JSON.stringify(planFlow(flow));
        expect(JSON.stringify(planFlow(flow))).toBe(first);
        expect(JSON.stringify(planFlow(validFlow(before)))).toBe(first);
        expect(JSON.stringify(flow)).toBe(before);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps keys that objects have in JavaScript', () => {
    const plan = JSON.stringify(planOf(flowText('- a: { set: { __proto__: { a: 1 }, constructor: "${ data }" } }')));
    expect(plan).toContain('["__proto__",{"value":{"a":1}}],["constructor",{"expr":"data"}]');
  });
});
