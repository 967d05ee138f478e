import { paceKey, StepPaces } from '../../../src/activities/in-place/step-paces';

const step = paceKey({ tenant: 'acme', flow: 'shop/orders:1.0.0', stepId: '/do/0/read' });
const paced = (...times: number[]) => {
  const paces = new StepPaces();
  for (const ms of times) paces.record(step, ms, 0);
  return paces.isQuick(step);
};

describe('the pace of a step', () => {
  test('is not known before it was measured three times', () => {
    expect([paced(), paced(1), paced(1, 1), paced(1, 1, 1)]).toEqual([false, false, false, true]);
  });

  test('is that of the slowest time of late', () => {
    expect([paced(1, 1, 1, 199), paced(1, 1, 1, 201)]).toEqual([true, false]);
  });

  test('comes back once the slow time is long ago', () => {
    const quick = (count: number) => Array.from({ length: count }, () => 1);
    expect([paced(1_000, ...quick(20)), paced(1_000, ...quick(40))]).toEqual([false, true]);
  });

  test('is forgotten of those that have not run for the longest time', () => {
    const paces = new StepPaces();
    for (let times = 0; times < 3; times += 1) paces.record(step, 1, 0);
    for (let other = 0; other < 10_000; other += 1) paces.record(`other ${other}`, 1, 0);
    expect(paces.isQuick(step)).toBe(false);
  });
});
