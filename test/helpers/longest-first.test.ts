import { existsSync } from 'node:fs';
import { join } from 'node:path';

interface Suite {
  readonly path: string;
  readonly context: { readonly config: { readonly cache: false }; readonly hasteFS: { getSize(path: string): number } };
}

/** What jest makes of the file; it is no module of TypeScript. */
const LongestFirst = require('./longest-first') as {
  readonly LONG: readonly string[];
  new (options: object): { sort(tests: Suite[]): Suite[]; hasFailed(test: Suite): boolean };
};

/** A suite that jest knows nothing of but its size. */
const suite = (name: string, size = 1): Suite => ({
  path: join('/checkout', 'test', `${name}.test.ts`),
  context: { config: { cache: false }, hasteFS: { getSize: () => size } },
});
const namesOf = (suites: readonly Suite[]) =>
  suites.map(({ path }) => /\/test\/(.+)\.test\.ts$/.exec(path)?.[1] ?? path);
const [first = '', second = ''] = LongestFirst.LONG;

test('the suites of the list come first, in its order, and the others by their size', () => {
  const sorted = new LongestFirst({}).sort([suite('small', 1), suite(second), suite('large', 9), suite(first)]);
  expect(namesOf(sorted)).toEqual([first, second, 'large', 'small']);
});

test('what has failed comes before all', () => {
  const sequencer = new LongestFirst({});
  sequencer.hasFailed = ({ path }) => path.includes('failed');
  expect(namesOf(sequencer.sort([suite(first), suite('large', 9), suite('failed')]))).toEqual([
    'failed',
    first,
    'large',
  ]);
});

test('every suite of the list exists, once', () => {
  expect(LongestFirst.LONG.length).toBeGreaterThan(20);
  expect(new Set(LongestFirst.LONG).size).toBe(LongestFirst.LONG.length);
  expect(LongestFirst.LONG.filter((name) => !existsSync(join(__dirname, '..', `${name}.test.ts`)))).toEqual([]);
});
