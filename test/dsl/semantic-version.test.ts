import { compareVersions, isPreRelease, SEMANTIC_VERSION } from '../../src/dsl/catalog/semantic-version';

/** The order that semver.org gives in 11, with more of each kind. */
const ORDERED = [
  '0.9.9',
  '1.0.0-0',
  '1.0.0-2',
  '1.0.0-10',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '1.0.1',
  '1.2.0',
  '1.10.0',
  '2.0.0',
  '10.0.0',
  '99999999999999999999.0.0',
];

it('orders versions by precedence, however they were shuffled', () => {
  const reversed = [...ORDERED].reverse();
  expect(reversed.sort(compareVersions)).toEqual(ORDERED);
});

it('orders versions that differ in build metadata only in one way', () => {
  expect(['1.0.0+b', '1.0.0+a'].sort(compareVersions)).toEqual(['1.0.0+a', '1.0.0+b']);
});

it.each([
  ['1.0.0', false],
  ['1.0.0+build.1', false],
  ['1.0.0-rc.1', true],
  ['1.0.0-rc.1+build', true],
  ['latest', false],
])('tells that %s is a pre-release: %s', (version, expected) => {
  expect(isPreRelease(version)).toBe(expected);
});

it.each(['1', '1.0', 'v1.0.0', '01.0.0', '1.0.0-', '1.0.0-01', '1.0.0+', ' 1.0.0', '1.0.0\n', ''])(
  'does not take %j for a version',
  (version) => {
    expect(SEMANTIC_VERSION.test(version)).toBe(false);
  },
);
