import { compileExpression, ExpressionError } from '../../src/dsl/expressions/cel';
import { INLINE_WORK } from '../../src/dsl/expressions/work-limit';
import type { Json } from '../../src/dsl/json';

const TOO_MUCH = 'too much work for expressions';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function mapOf(count: number): Record<string, Json> {
  return Object.fromEntries(numbers(count).map((index) => [`k${index}`, index]));
}

/** Data that a few steps have doubled: it takes little memory, and holds the same thing many times. */
function doubled(times: number): Json {
  return numbers(times).reduce<Json>((inner) => [inner, inner], [1]);
}

function nested(levels: number): Json {
  return numbers(levels).reduce<Json>((inner, level) => (level % 2 === 0 ? { a: inner } : [inner]), 1);
}

function evaluate(expression: string, data: Json): Json {
  return compileExpression(expression)({ data }, { left: INLINE_WORK });
}

function doubling(start: string, times: number): string {
  return numbers(times).reduce<string>((inner, n) => `cel.bind(v${n}, ${inner}, v${n} + v${n})`, start);
}

// What each takes without its price, on 2 cores, is behind it.
describe('work that the library hides is paid for', () => {
  const text = 'x'.repeat(2_000_000);
  const texts = numbers(100).map((index) => `${'x'.repeat(100_000)}${100 + index}`);
  it.each<[string, string, Json]>([
    ['errors that exists swallows: 2.6 s', 'data.l.exists(x, x.nope)', { l: numbers(400_000).map(() => ({})) }],
    ['errors that || swallows: 2.1 s', 'data.l.map(x, x.nope || true)', { l: numbers(400_000).map(() => ({})) }],
    [
      'errors in a long expression: minutes',
      `"${'a'.repeat(20_000)}" == "" || data.l.exists(x, x.nope)`,
      { l: numbers(10_000).map(() => ({})) },
    ],
    ['optional items that are not there: 1.8 s', 'data.l.map(x, data.l[?500000])', { l: numbers(400_000) }],
    [
      'the order of long texts: 14 s',
      'data.l.filter(x, data.a < data.b)',
      { l: numbers(10_000), a: text, b: `${text}y` },
    ],
    [
      'long texts in a list: 13 s',
      'data.l.filter(x, data.s in data.t)',
      { l: numbers(10_000), s: `${texts[0]}`, t: texts },
    ],
    ['bytes that double: 500 MB', doubling('b"0123456789abcdef"', 26), {}],
    [
      'bytes that are compared: minutes',
      'cel.bind(a, bytes(data.a), cel.bind(b, bytes(data.b), data.l.filter(x, a == b)))',
      { l: numbers(10_000), a: text, b: `y${text.slice(1)}` },
    ],
    [
      'bytes in a result: minutes',
      'cel.bind(b, bytes(data.s), data.l.map(x, b))',
      { l: numbers(10_000), s: text.slice(0, 20_000) },
    ],
    [
      'a text many times in toJson(): 230 MB',
      'toJson(data.l.map(x, data.s))',
      { l: numbers(100), s: '"'.repeat(1_000_000) },
    ],
    ['a large map in a result: 3.6 s', '[data.m]', { m: mapOf(400_000) }],
    ['data that is passed on: for ever', 'data.d', { d: doubled(40) }],
    [
      'data that is copied for a key "constructor": 0.6 s',
      'data.c.constructor',
      { c: { constructor: 1 }, l: numbers(3_000_000) },
    ],
  ])('%s', (_what, expression, data) => {
    expect(() => evaluate(expression, data)).toThrow(TOO_MUCH);
  });

  it('asks no operand once nothing is left', () => {
    const budget = { left: 0 };
    const chain = Array.from({ length: 50 }, () => 'data.m == data.n').join(' || ');
    const keys = jest.spyOn(Object, 'keys');
    try {
      expect(() => compileExpression(chain)({ data: { m: mapOf(10), n: mapOf(10) } }, budget)).toThrow(TOO_MUCH);
      expect(keys.mock.calls.length).toBeLessThan(10);
    } finally {
      keys.mockRestore();
    }
  });
});

describe('a large map', () => {
  const data = { l: numbers(200), m: mapOf(100_000) };
  it.each([
    ['is asked for a key as quickly as a small one', 'size(data.l.filter(x, "k7" in data.m))'],
    ['is compared with null as quickly as a small one', 'size(data.l.filter(x, data.m != null))'],
  ])('%s', (_what, expression) => {
    const budget = { left: 3_000 };
    expect(compileExpression(expression)({ data }, budget)).toBe(200);
  });
});

describe('deep data', () => {
  it('is compared without a type for each of its levels, which would stay in memory', () => {
    const evaluateEach = compileExpression('data == 1');
    expect(evaluateEach({ data: nested(3_000) })).toBe(false);
  });

  it('differs from data with other things in it', () => {
    expect(evaluate('data.a == data.b', { a: [1], b: ['a'] })).toBe(false);
    expect(evaluate('data.a in data.b', { a: 1, b: ['a'] })).toBe(false);
    expect(evaluate('data.a in data.b', { a: [1], b: [['a'], [1]] })).toBe(true);
  });
});

describe('what is no key', () => {
  const data = { list: [1, 2], map: { '1,2': 'found' }, key: 'k' };
  it.each([
    ['{data.list: 1}', 'lists'],
    ['{bytes(data.key): 1}', 'bytes'],
    ['{timestamp(60): 1}', 'times'],
    ['{data.map: 1}', 'an object'],
    ['data.map[data.list]', 'lists'],
    ['data.map[?data.list]', 'lists'],
    ['data.list in data.map', 'lists'],
  ])('is refused: %s', (expression, kind) => {
    expect(() => evaluate(expression, data)).toThrow(new RegExp(`a map has no keys that are .*${kind}`));
  });

  it('does not concern texts, numbers and booleans', () => {
    expect(evaluate('{data.key: 1, 2: 2, true: 3, data.list[0]: 4, uint(7): 5, "__proto__": 6}', data)).toEqual({
      k: 1,
      2: 2,
      true: 3,
      1: 4,
      7: 5,
    });
  });
});

describe('a duration', () => {
  it.each(['1'.repeat(3_000), `${'9'.repeat(100)}s`, 'ms'.repeat(5_000), `${'1s'.repeat(500)}x`, '', '1 hour', '1d'])(
    'is not looked for in other text (%.20s)',
    (text) => {
      expect(() => evaluate('duration(data)', text)).toThrow('duration() takes text such as 1h30m, 1.5s or 300ms');
    },
  );

  it.each([
    ['1h30m', 'PT5400S'],
    ['+1.5h', 'PT5400S'],
    ['-.5s', '-PT0.5S'],
    ['1.s', 'PT1S'],
    ['1h2m3s4ms5us6ns', 'PT3723.004005006S'],
    ['7µs', 'PT0.000007S'],
  ])('may be %s', (text, expected) => {
    expect(evaluate('duration(data)', text)).toBe(expected);
  });
});

describe('messages', () => {
  it.each(['data[data.s]', 'bool(data.s)', 'data.?a.orValue(data)[data.s]'])(
    'of %s are cut where data is long',
    (expression) => {
      let message = '';
      try {
        evaluate(expression, { s: 'x'.repeat(1_000_000) });
      } catch (error) {
        if (!(error instanceof ExpressionError)) throw error;
        message = error.message;
      }
      expect(message).toMatch(/x…$/);
      expect(message.length).toBeLessThan(600);
    },
  );
});
