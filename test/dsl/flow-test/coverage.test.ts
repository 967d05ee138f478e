import { measureCoverage } from '../../../src/dsl/flow-test/coverage';
import type { FlowPlan } from '../../../src/dsl/planning/plan';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../../src/dsl/validation/validate-flow';

const HEADER = `document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: cel }
do:
`;

function planOf(tasks: string): FlowPlan {
  const { flow, problems } = validateFlowText(HEADER + tasks);
  if (flow === undefined) throw new Error(JSON.stringify(problems));
  return planFlow(flow);
}

const PLAN = planOf(`
  - choose:
      switch:
        - big: { when: data > 1, then: keep }
        - small: { when: data > 0, then: end }
  - keep: { if: data > 2, set: { a: 1 } }
  - careful:
      try:
        - raise: { raise: { error: { type: 'https://example.com/x', status: 500 } } }
      catch:
        do:
          - mend: { set: { a: 2 } }
`);
const RAISE = '/do/2/careful/try/0/raise';
const MEND = '/do/2/careful/catch/do/0/mend';

it('is nothing where nothing ran, and says so of each step once', () => {
  const { steps, branches, missing } = measureCoverage(PLAN, []);
  expect(steps).toEqual({ covered: 0, total: 5 });
  expect(branches.covered).toBe(0);
  expect(missing).toEqual(
    ['/do/0/choose', '/do/1/keep', '/do/2/careful', RAISE, MEND].map((path) => ({ path, what: 'it never ran' })),
  );
});

it('adds up what several runs came to', () => {
  const first = { '/do/0/choose': { ran: 1, cases: { big: 1 } }, '/do/1/keep': { ran: 0, skipped: 1 } };
  const second = {
    '/do/0/choose': { ran: 1, noCase: 1 },
    '/do/1/keep': { ran: 1 },
    '/do/2/careful': { ran: 2, caught: 1 },
    [RAISE]: { ran: 2, failed: 2 },
    [MEND]: { ran: 1 },
  };
  const one = measureCoverage(PLAN, [first]);
  expect(one.steps).toEqual({ covered: 1, total: 5 });
  // A case, one way of the condition.
  expect(one.branches).toEqual({ covered: 2, total: 6 });
  expect(one.missing).toContainEqual({ path: '/do/0/choose', what: 'one of its cases was always taken' });
  const both = measureCoverage(PLAN, [first, second]);
  expect(both.steps).toEqual({ covered: 5, total: 5 });
  // The two cases and neither, both ways of the condition, the catch.
  expect(both.branches).toEqual({ covered: 5, total: 6 });
  expect(both.missing).toEqual([{ path: '/do/0/choose', what: 'case "small" was never taken' }]);
});

it('asks for no other way where a case takes everything', () => {
  const plan = planOf(`
  - choose:
      switch:
        - big: { when: data > 1, then: end }
        - rest: { then: end }
`);
  const { branches, missing } = measureCoverage(plan, [{ '/do/0/choose': { ran: 1, cases: { rest: 1 } } }]);
  expect(branches).toEqual({ covered: 1, total: 2 });
  expect(missing).toEqual([{ path: '/do/0/choose', what: 'case "big" was never taken' }]);
});

it('tells both ways of a condition', () => {
  const plan = planOf('  - keep: { if: data > 2, set: { a: 1 } }');
  expect(measureCoverage(plan, [{ '/do/0/keep': { ran: 1 } }]).missing).toEqual([
    { path: '/do/0/keep', what: 'its if was never false' },
  ]);
  expect(measureCoverage(plan, [{ '/do/0/keep': { ran: 0, skipped: 2 } }]).missing).toEqual([
    { path: '/do/0/keep', what: 'it never ran' },
  ]);
});
