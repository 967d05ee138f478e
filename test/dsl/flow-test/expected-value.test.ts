import { checkExpected, findDifferences } from '../../../src/dsl/flow-test/expected-value';
import type { Json } from '../../../src/dsl/json';
import { Checker } from '../../../src/dsl/validation/checker';

/** As lines: `at: expected …, got …` */
function differences(expected: Json, actual: Json | undefined): string[] {
  return findDifferences(expected, actual, 'output').map(
    ({ at, expected: wanted, got }) => `${at}: expected ${wanted}, got ${got}`,
  );
}

describe('a value without matchers', () => {
  it.each<[Json, Json]>([
    [1, 1],
    [null, null],
    [
      { a: [1, { b: 2 }], c: 'd' },
      { c: 'd', a: [1, { b: 2 }] },
    ],
    [[], []],
    [{}, {}],
  ])('%j is %j', (expected, actual) => {
    expect(differences(expected, actual)).toEqual([]);
  });

  it.each<[Json, Json | undefined, string]>([
    [12, 13, 'output: expected 12, got 13'],
    [1, '1', 'output: expected 1, got "1"'],
    [null, undefined, 'output: expected null, got nothing'],
    [{ a: { b: 1 } }, { a: { b: 2 } }, 'output.a.b: expected 1, got 2'],
    [{ a: 1 }, { a: 1, b: 2 }, 'output.b: expected nothing, got 2'],
    [{ a: 1, b: 2 }, { a: 1 }, 'output.b: expected 2, got nothing'],
    [[1, 2], [1, 3], 'output[1]: expected 2, got 3'],
    [[1, 2], [1], 'output: expected [1,2], got [1]'],
    [{ 'order id': 1 }, { 'order id': 2 }, 'output["order id"]: expected 1, got 2'],
    [{}, [], 'output: expected {}, got []'],
    [[], {}, 'output: expected [], got {}'],
  ])('%j is not %j', (expected, actual, line) => {
    expect(differences(expected, actual)).toEqual([line]);
  });

  it('is compared by its own keys only', () => {
    expect(differences(JSON.parse('{"__proto__": 1}'), {})).toEqual(['output.__proto__: expected 1, got nothing']);
    expect(differences({ constructor: 1 }, {})).toEqual(['output.constructor: expected 1, got nothing']);
  });

  it('is quoted in part where it is long', () => {
    const [line = ''] = differences('x', 'y'.repeat(10_000));
    expect(line.length).toBeLessThan(500);
  });
});

describe('matchers', () => {
  it.each<[Json, Json | undefined]>([
    [{ $contains: { a: 1 } }, { a: 1, b: 2 }],
    [{ $contains: { a: { b: 1 } } }, { a: { b: 1, c: 2 }, d: 3 }],
    [{ $contains: [2, { a: 1 }] }, [{ a: 1, b: 2 }, 2, 3]],
    [{ $contains: 'ell' }, 'hello'],
    [{ $contains: { a: { $type: 'string' } } }, { a: 'x', b: 1 }],
    [{ $inOrder: ['a', 'c'] }, ['a', 'b', 'c']],
    [{ $inOrder: [] }, []],
    [{ $matches: '^C-[0-9]+$' }, 'C-17'],
    [{ $type: 'integer' }, 3],
    [{ $type: 'number' }, 3.5],
    [{ $type: 'null' }, null],
    [{ $type: 'array' }, []],
    [{ $type: 'object' }, {}],
    [{ $type: 'boolean' }, false],
    [{ $atLeast: 1, $atMost: 3 }, 3],
    [{ $length: 2 }, [1, 2]],
    [{ $length: { $atLeast: 2 } }, 'abc'],
    [{ $length: 1 }, { a: 1 }],
    [{ $oneOf: [1, { $contains: { a: 1 } }] }, { a: 1, b: 2 }],
    [{ $not: 1 }, 2],
    [{ $not: { $absent: true } }, 2],
    [{ a: { $absent: true } }, {}],
    [{ $equals: { $contains: 1 } }, { $contains: 1 }],
    [{ $equals: { q: { $type: 'string' } } }, { q: { $type: 'string' } }],
    [{ $equals: { q: { $matches: '([' } } }, { q: { $matches: '([' } }],
    [{ $length: 1 }, '🍵'],
    [{ $contains: 'nut' }, ['bolt', 'nut']],
    [{ $contains: { sku: 'nut' } }, [{ sku: 'nut', count: 2 }]],
  ])('%j takes %j', (expected, actual) => {
    expect(differences(expected, actual)).toEqual([]);
  });

  it.each<[Json, Json | undefined, string]>([
    [{ $contains: { a: 1 } }, { a: 2, b: 2 }, 'output.a: expected 1, got 2'],
    [{ $contains: { a: 1 } }, 'text', 'output: expected {"a":1}, got "text"'],
    [{ $contains: [1] }, [2], 'output: expected a list that has 1, got [2]'],
    [{ $contains: 'x' }, 'hello', 'output: expected text that has "x", got "hello"'],
    [{ $inOrder: ['c', 'a'] }, ['a', 'b', 'c'], 'output: expected "a" after "c", got ["a","b","c"]'],
    [{ $inOrder: ['a'] }, 1, 'output: expected a list with ["a"] in order, got 1'],
    [{ $matches: '^a' }, 'b', 'output: expected text that matches ^a, got "b"'],
    [{ $matches: '1' }, 1, 'output: expected text that matches 1, got 1'],
    [{ $type: 'integer' }, 3.5, 'output: expected a value of type integer, got 3.5'],
    [{ $type: 'object' }, null, 'output: expected a value of type object, got null'],
    [{ $atLeast: 1 }, 0, 'output: expected at least 1, got 0'],
    [{ $atMost: 1 }, '0', 'output: expected at most 1, got "0"'],
    [{ $length: 2 }, [1], 'length of output: expected 2, got 1'],
    [{ $length: 2 }, 7, 'output: expected a text, a list or an object, got 7'],
    [{ $oneOf: [1, 2] }, 3, 'output: expected one of 1, 2, got 3'],
    [{ $not: 2 }, 2, 'output: expected not 2, got 2'],
    [{ a: { $absent: true } }, { a: null }, 'output.a: expected nothing, got null'],
    [{ $equals: { $contains: 1 } }, 1, 'output: expected {"$contains":1}, got 1'],
    [{ $equals: { q: { $type: 'string' } } }, { q: 'abc' }, 'output.q: expected {"$type":"string"}, got "abc"'],
    [{ $contains: { a: 'approved' } }, { a: 'disapproved' }, 'output.a: expected "approved", got "disapproved"'],
    [{ $not: { $contains: 'nut' } }, ['nut'], 'output: expected not {"$contains":"nut"}, got ["nut"]'],
    [{ $contains: ['a'] }, ['ab'], 'output: expected a list that has "a", got ["ab"]'],
    [{ $contains: [1, 1] }, [1, 2], 'output: expected a list that has 1, got [1,2]'],
  ])('%j does not take %j', (expected, actual, line) => {
    expect(differences(expected, actual)).toEqual([line]);
  });
});

describe('what is written wrong', () => {
  it.each<[Json, string]>([
    [{ a: { $contain: 1 } }, '/a/$contain "$contain" is no matcher; did you mean $contains?'],
    [{ $schema: 1 }, '/$schema "$schema" is no matcher; there are: $equals'],
    [[{ $type: 'text' }], '/0/$type $type: got "text", expected one of string'],
    [{ $matches: '(' }, '/$matches $matches: got "(", expected a regular expression in RE2\'s syntax'],
    [{ $matches: 5 }, '/$matches $matches: got a number, expected a regular expression'],
    [{ $inOrder: 'a' }, '/$inOrder $inOrder: got a string, expected a list'],
    [{ $oneOf: [] }, '/$oneOf $oneOf: got [], expected a list of values'],
    [{ $absent: false }, '/$absent $absent: got false, expected true'],
    [{ $atLeast: '1' }, '/$atLeast $atLeast: got a string, expected a number'],
    [{ $contains: { a: { $nott: 1 } } }, '/$contains/a/$nott "$nott" is no matcher; did you mean $not?'],
    [{ $contains: {}, a: 1 }, '/$contains "$contains" stands beside keys of a value'],
  ])('%j is reported', (expected, start) => {
    const checker = new Checker();
    checkExpected(expected, [], checker);
    const lines = checker.problems.map(({ path, message }) => `/${path.join('/')} ${message}`);
    expect(lines).toEqual([expect.stringContaining(start)]);
  });

  it('is not looked for below $equals', () => {
    const checker = new Checker();
    checkExpected({ $equals: { $contain: 1, a: 2 } }, [], checker);
    expect(checker.problems).toEqual([]);
  });
});
