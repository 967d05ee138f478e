import { VisitCounter } from '../../../src/dsl/dry-run/visits';
import { jsonBytes } from '../../../src/dsl/encoded-json';

describe('VisitCounter', () => {
  it('tells what ran from what was skipped, and counts failures beside', () => {
    const counter = new VisitCounter();
    for (const status of ['completed', 'failed', 'cancelled', 'skipped'] as const) {
      counter.begin('/do/0/a');
      counter.end('/do/0/a', status);
    }
    expect(counter.state()).toEqual({ '/do/0/a': { ran: 3, failed: 1, skipped: 1 } });
  });

  it('counts a step that goes on in a new history once', () => {
    const counter = new VisitCounter();
    counter.begin('/do/0/a');
    counter.end('/do/0/a', 'running');
    const next = new VisitCounter(counter.state());
    next.end('/do/0/a', 'completed');
    expect(next.state()).toEqual({ '/do/0/a': { ran: 1 } });
  });

  it('counts cases by name, whatever they are called, those that none matched, and catches', () => {
    const counter = new VisitCounter();
    for (const name of ['yes', '__proto__', 'yes', null]) counter.choose('/do/0/s', name);
    counter.catches('/do/1/t');
    expect(JSON.parse(JSON.stringify(counter.state()))).toEqual({
      '/do/0/s': JSON.parse('{"ran": 0, "cases": {"yes": 2, "__proto__": 1}, "noCase": 1}'),
      '/do/1/t': { ran: 0, caught: 1 },
    });
  });

  it('adds what was counted elsewhere', () => {
    const counter = new VisitCounter({ '/do/0/a': { ran: 1, failed: 1, cases: { yes: 1 } } });
    counter.add({ '/do/0/a': { ran: 2, skipped: 3, cases: { yes: 1, no: 2 }, noCase: 1 }, '/do/1/b': { ran: 1 } });
    expect(counter.state()).toEqual({
      '/do/0/a': { ran: 3, failed: 1, skipped: 3, cases: { yes: 2, no: 2 }, noCase: 1 },
      '/do/1/b': { ran: 1 },
    });
  });

  it('stays within its room, with those that were come to first, and counts the others', () => {
    const counter = new VisitCounter();
    for (let index = 0; index < 5_000; index += 1) counter.begin(`/do/${index}/a-step-with-some-name`);
    const { visits, omitted } = counter.within(50_000);
    expect(jsonBytes(visits)).toBeLessThanOrEqual(50_000);
    expect(Object.keys(visits)[0]).toBe('/do/0/a-step-with-some-name');
    expect(Object.keys(visits).length + omitted).toBe(5_000);
    expect(omitted).toBeGreaterThan(0);
  });
});
