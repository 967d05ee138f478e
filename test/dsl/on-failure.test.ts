import { mergePatch } from '../../src/dsl/dead-letter';
import type { Json } from '../../src/dsl/json';
import type { CallPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { expectProblem, flowText, HEADER, validFlow } from './marked-flow';

const READ = 'call: fs.get, with: { path: a }';

/** What the plan says of the step `s`, wherever it is. */
function policyOf(tasks: string, byDefault?: string): CallPlan['onFailure'] {
  const header =
    byDefault === undefined ? HEADER : HEADER.replace(' }\n', `, metadata: { onFailure: ${byDefault} } }\n`);
  const text = flowText(tasks).replace(HEADER, header);
  const found: CallPlan[] = [];
  JSON.parse(JSON.stringify(planFlow(validFlow(text))), (_, value: unknown) => {
    if (typeof value === 'object' && value !== null && 'name' in value && value.name === 's')
      found.push(value as CallPlan);
    return value;
  });
  expect(found).toHaveLength(1);
  return found[0]?.onFailure;
}

describe('metadata.onFailure', () => {
  it.each([
    ['a step', `- s: { ${READ} }`],
    ['a step in a group', `- g: { do: [{ s: { ${READ} } }] }`],
    ['a step in a loop', `- g: { for: { in: '[1]' }, do: [{ s: { ${READ} } }] }`],
    ['a branch', `- g: { fork: { branches: [{ s: { ${READ} } }] } }`],
    ['a step of a handler', `- g: { try: [{ w: { wait: PT1S } }], catch: { do: [{ s: { ${READ} } }] } }`],
  ])('has a default in the document, for %s', (_, tasks) => {
    expect(policyOf(tasks)).toBeUndefined();
    expect(policyOf(tasks, 'fail')).toBeUndefined();
    expect(policyOf(tasks, 'deadLetter')).toBe('deadLetter');
    expect(policyOf(tasks, 'continue')).toBe('continue');
  });

  it.each([
    ['a step that is tried', (s: string) => `- g: { try: [{ s: ${s} }], catch: {} }`],
    ['a step deep in what is tried', (s: string) => `- g: { try: [{ d: { do: [{ s: ${s} }] } }], catch: {} }`],
    ['a branch of a race', (s: string) => `- g: { fork: { compete: true, branches: [{ s: ${s} }] } }`],
    [
      'a step of a loop that tolerates failures',
      (s: string) => `- g: { for: { in: '[1]' }, metadata: { toleratedFailures: 1 }, do: [{ s: ${s} }] }`,
    ],
    ['a compensation', (s: string) => `- g: { ${READ}, metadata: { compensate: [{ s: ${s} }] } }`],
  ])('of the document is not for %s, its own is', (_, tasks) => {
    expect(policyOf(tasks(`{ ${READ} }`), 'deadLetter')).toBeUndefined();
    expect(policyOf(tasks(`{ ${READ}, metadata: { onFailure: continue } }`), 'deadLetter')).toBe('continue');
  });

  it('of the document is not for an approval, its own is', () => {
    const ask = (more = '') => policyOf(`- s: { call: human.approval, with: { title: x }${more} }`, 'continue');
    expect(ask()).toBeUndefined();
    expect(ask(', metadata: { onFailure: deadLetter }')).toBe('deadLetter');
  });

  it('of a step wins', () => {
    expect(policyOf(`- s: { ${READ}, metadata: { onFailure: fail } }`, 'deadLetter')).toBeUndefined();
  });

  it('lets the error of a step be read where the flow may go on without it', () => {
    const read = (metadata: string, mark = '') =>
      flowText(`- a: { ${READ}${metadata} }\n- b: { set: { x: ${mark}'\${ steps.a.error }' } }`);
    expect(() => validFlow(read(', metadata: { onFailure: continue }'))).not.toThrow();
    expectProblem(read('', '«'), 'BLW_STEP_UNKNOWN', 'a step has nothing but "output"');
  });
});

// The examples of RFC 7396, appendix A.
test.each<[Json, Json, Json]>([
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])('merges %j with the patch %j', (target, patch, result) => {
  const before = JSON.stringify(target);
  expect(mergePatch(target, patch)).toEqual(result);
  expect(JSON.stringify(target)).toBe(before);
});

test('a patch takes a key __proto__ for what it says', () => {
  const merged = mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}') as Json);
  expect(Object.keys(merged as object)).toEqual(['__proto__']);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});
