import {
  byPosition,
  closestName,
  formatProblem,
  listNames,
  shortJson,
  shortText,
  toJsonPointer,
} from '../../src/dsl/problems';

describe('toJsonPointer', () => {
  it.each<[(string | number)[], string]>([
    [[], ''],
    [['do', 0, 'a'], '/do/0/a'],
    [[''], '/'],
    [['a/b', 'c~d', '~1', '/~'], '/a~1b/c~0d/~01/~1~0'],
    [['with space', '"', 'é'], '/with space/"/é'],
  ])('of %j', (path, pointer) => {
    expect(toJsonPointer(path)).toBe(pointer);
  });
});

describe('formatProblem', () => {
  it.each([
    [{ code: 'BLW_KEY_MISSING' as const, path: [], message: 'm' }, 'f.yaml BLW_KEY_MISSING m'],
    [
      { code: 'BLW_KEY_UNKNOWN' as const, path: ['do', 0, 'a/b'], message: 'm', position: { line: 3, column: 7 } },
      'f.yaml:3:7 BLW_KEY_UNKNOWN m (at /do/0/a~1b)',
    ],
  ])('is one line', (problem, line) => {
    expect(formatProblem(problem, 'f.yaml')).toBe(line);
  });
});

describe('closestName', () => {
  it.each<[string, string[], string | undefined]>([
    ['form', ['schema', 'from'], 'from'],
    ['wiht', ['call', 'with'], 'with'],
    ['swithc', ['switch', 'set'], 'switch'],
    ['HTTP', ['http'], 'http'],
    ['outputt', ['output'], 'output'],
    ['otput', ['output'], 'output'],
    ['maximumAttempt', ['maximumAttempts', 'maximumInterval'], 'maximumAttempts'],
    ['fo', ['for', 'fork'], 'for'],
    ['fro', ['for', 'from'], 'for'],
    ['c', ['a', 'b'], undefined],
    ['A', ['b', 'a'], 'a'],
    ['ab', ['cd'], undefined],
    ['xyz', ['abc'], undefined],
    ['retries', ['raise'], undefined],
    ['', ['a', ''], undefined],
    ['name', [], undefined],
  ])('of %j among %j', (name, known, meant) => {
    expect(closestName(name, known)).toBe(meant);
  });

  it('compares nothing that is too long to be a name', () => {
    expect(closestName('x'.repeat(100_000), ['x'.repeat(100_001)])).toBeUndefined();
    expect(
      closestName(
        'name',
        Array.from({ length: 100_000 }, () => 'x'.repeat(1_000)),
      ),
    ).toBeUndefined();
  });
});

describe('texts for messages', () => {
  it('are cut where they are long', () => {
    expect(shortText('x'.repeat(80))).toBe('x'.repeat(80));
    expect(shortText('x'.repeat(81))).toBe(`${'x'.repeat(79)}…`);
    expect(shortJson({ a: 'x'.repeat(100) })).toHaveLength(60);
    expect(shortJson(undefined)).toBe('undefined');
  });

  it('list the first names, and how many more there are', () => {
    expect(listNames(['a', 'b'])).toBe('a, b');
    expect(listNames([])).toBe('none');
    expect(listNames(Array.from({ length: 25 }, (_, index) => `n${index}`))).toMatch(/^n0, .*n19, and 5 more$/);
  });
});

it('problems are sorted by line, then by column', () => {
  const at = (line: number, column: number) => ({
    code: 'BLW_KEY_MISSING' as const,
    path: [],
    message: '',
    position: { line, column },
  });
  const sorted = [at(10, 1), at(2, 9), at(2, 3)].sort(byPosition);
  expect(sorted.map(({ position }) => `${position.line}:${position.column}`)).toEqual(['2:3', '2:9', '10:1']);
});
