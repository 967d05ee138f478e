import { parsePrometheusText } from '../../../src/cli/top/prometheus-text';
import { labelValues, maxOf, type Observed, quantileOf, ratePerSecond, sumOf } from '../../../src/cli/top/series';

/** A worker at two moments, two seconds apart; without `before`, one that has just been seen. */
function worker(now: string, before?: string): Observed {
  const shown = (at: number, text: string) => ({ at, page: parsePrometheusText(text) });
  return { now: shown(2_000, now), ...(before === undefined ? {} : { before: shown(0, before) }) };
}

test('adds what workers count up, and takes the most of what they all know', () => {
  const workers = [worker('a{p="io"} 1\na{p="cpu"} 5\nb 7'), worker('a{p="io"} 2\nb 9'), worker('c 1')];
  expect(sumOf(workers, 'a', { p: 'io' })).toBe(3);
  expect(sumOf(workers, 'a')).toBe(8);
  expect(maxOf(workers, 'b')).toBe(9);
  expect(sumOf(workers, 'none')).toBeUndefined();
  expect(maxOf(workers, 'a', { p: 'gpu' })).toBeUndefined();
  expect(sumOf([worker('a NaN')], 'a')).toBeUndefined();
  expect(labelValues(workers, 'a', 'p')).toEqual(['io', 'cpu']);
});

test.each<[string, Observed[], number | undefined]>([
  ['what was added, by the second', [worker('a 30', 'a 10')], 10],
  ['of several workers, the sum', [worker('a 30', 'a 10'), worker('a 3', 'a 1')], 11],
  ['nothing where nothing happened', [worker('a 10', 'a 10')], 0],
  ['of a worker that began again, what it has since', [worker('a 4', 'a 10')], 2],
  ['of a series that is new, all of it', [worker('a{t="x"} 8', 'a{t="y"} 5')], 4],
  ['of all series of the name', [worker('a{t="x"} 8\na{t="y"} 7', 'a{t="x"} 6\na{t="y"} 5')], 2],
  ['without a sample before, none', [worker('a 10')], undefined],
  ['of a worker that is new, nothing yet', [worker('a 10', 'a 8'), worker('a 1000')], 1],
  ['without any worker, none', [], undefined],
])('a rate is %s', (_, workers, rate) => {
  expect(ratePerSecond(workers, 'a')).toBe(rate);
});

const histogram = (...counts: readonly (readonly [string, number])[]) =>
  counts.map(([le, count]) => `h_bucket{t="x",le="${le}"} ${count}`).join('\n');

test.each<[string, Observed[], number, number | undefined]>([
  ['even within a bucket', [worker(histogram(['10', 0], ['20', 10], ['+Inf', 10]), '')], 0.5, 15],
  ['from nothing in the first', [worker(histogram(['10', 4], ['+Inf', 4]), '')], 0.5, 5],
  ['at the end of a bucket', [worker(histogram(['10', 5], ['20', 10], ['+Inf', 10]), '')], 0.5, 10],
  ['beyond the last, its end', [worker(histogram(['10', 1], ['20', 1], ['+Inf', 10]), '')], 0.95, 20],
  [
    'only of what came since',
    [worker(histogram(['10', 100], ['20', 110], ['+Inf', 110]), histogram(['10', 100], ['20', 100], ['+Inf', 100]))],
    0.5,
    15,
  ],
  [
    'of several workers together',
    [
      worker(histogram(['10', 9], ['20', 9], ['+Inf', 9]), ''),
      worker(histogram(['10', 0], ['20', 1], ['+Inf', 1]), ''),
    ],
    0.95,
    15,
  ],
  ['of nothing, none', [worker(histogram(['10', 5], ['+Inf', 5]), histogram(['10', 5], ['+Inf', 5]))], 0.5, undefined],
  ['without a sample before, none', [worker(histogram(['10', 5], ['+Inf', 5]))], 0.5, undefined],
])('a quantile is %s', (_, workers, quantile, expected) => {
  expect(quantileOf(workers, { name: 'h', labels: { t: 'x' }, quantile })).toBe(expected);
});
