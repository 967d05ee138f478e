import { type Deed, deedWith, nextGeneration, remember } from '../../src/workflows/deeds';

const all = (count: number): readonly Deed[] =>
  Array.from({ length: count }, (_, n) => n).reduce<readonly Deed[]>(
    (deeds, generation) => remember(deeds, { generation, execution: `e${generation}`, with: { n: generation } }),
    [],
  );

test('finds a deed by its arguments, and counts on from all that there were', () => {
  const deeds = all(3);
  expect(deedWith(deeds, { n: 1 })).toEqual({ generation: 1, execution: 'e1', with: { n: 1 } });
  expect(deedWith(deeds, { n: 7 })).toBeUndefined();
  expect(deedWith(deeds, null)).toBeUndefined();
  expect([nextGeneration(deeds, 0), nextGeneration([], 4)]).toEqual([3, 5]);
});

test('knows of a deed what was known last, once', () => {
  const deeds = remember(all(2), { generation: 0, execution: 'later', with: { n: 0 } });
  expect(deeds.map(({ generation, execution }) => [generation, execution])).toEqual([
    [1, 'e1'],
    [0, 'later'],
  ]);
});

test('forgets arguments that are large or of long ago, and no generation', () => {
  const deeds = all(25);
  expect([deeds.length, nextGeneration(deeds, 0)]).toEqual([25, 25]);
  expect(deeds.filter((deed) => deed.with !== undefined).map(({ generation }) => generation)).toEqual(
    Array.from({ length: 20 }, (_, n) => n + 5),
  );
  const [large] = remember([], { generation: 0, with: { text: 'x'.repeat(10_001) } });
  expect(large).toEqual({ generation: 0 });
});
