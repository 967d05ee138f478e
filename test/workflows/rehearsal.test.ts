import { Rehearsal } from '../../src/workflows/dry-run/rehearsal';
import { rehearsalAfter } from '../../src/workflows/dry-run/rehearsal-state';

it('limits the steps of a dry run over all of its workflows', () => {
  const rehearsal = new Rehearsal({ mocks: {} }, undefined);
  const batch = rehearsalAfter({ attempts: {}, steps: 12_000 });
  rehearsal.take(batch, { attempts: {}, steps: 0 });
  rehearsal.take({ ...batch, steps: 19_999 }, { attempts: {}, steps: 12_000 });
  rehearsal.countStep();
  expect(() => rehearsal.countStep()).toThrow(/has made 20000 steps/);
});

it('takes attempts along to a batch of a loop, and back, of the steps in that loop alone', () => {
  const state = {
    ...rehearsalAfter({
      attempts: { '/do/0/loop/do/0/put it 0': 2, '/do/0/loop/do/0/put it 7': 1, '/do/1/get ': 1 },
      steps: 5,
    }),
  };
  const rehearsal = new Rehearsal({ mocks: {} }, state);
  const loop = { kind: 'set', name: 'loop', path: '/do/0/loop', value: {} } as unknown as Parameters<
    Rehearsal['begunOf']
  >[0];
  const begun = rehearsal.begunOf(loop, { iteration: '', from: 0, to: 5 });
  expect(begun).toEqual({ attempts: { '/do/0/loop/do/0/put it 0': 2 }, steps: 5 });
  rehearsal.take(rehearsalAfter({ attempts: { '/do/0/loop/do/0/put it 0': 3 }, steps: 6 }), begun);
  expect(rehearsal.state({ onlyEnded: false })).toMatchObject({
    attempts: { '/do/0/loop/do/0/put it 0': 3, '/do/1/get ': 1 },
    steps: 6,
  });
});
