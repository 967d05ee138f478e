import fc from 'fast-check';
import { compileExpression, ExpressionError } from '../../src/dsl/expressions/cel';
import { checkExpression } from '../../src/dsl/expressions/check';
import type { Json } from '../../src/dsl/json';

const DATA: Json = {
  one: 1,
  half: 0.5,
  big: 2 ** 53,
  text: 'héllo 👍',
  none: null,
  yes: true,
  list: [3, 1, 2],
  mixed: [1, 'a', null],
  map: { x: 1, y: { z: 2 } },
};

function evaluate(expression: string, data: Json = DATA): Json {
  return compileExpression(expression)({ data });
}

function failureOf(expression: string, data: Json = DATA): ExpressionError {
  try {
    evaluate(expression, data);
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
  throw new Error(`${expression} did not fail`);
}

describe('numbers', () => {
  it.each<[string, Json]>([
    ['1 + 2', 3],
    ['7 / 2', 3],
    ['-7 / 2', -3],
    ['7 % 4', 3],
    ['7.0 / 2.0', 3.5],
    ['data.one + 1', 2],
    ['1 + data.one', 2],
    ['data.one - 1', 0],
    ['1 - data.half', 0.5],
    ['data.half * 3', 1.5],
    ['3 * data.half', 1.5],
    ['data.one / 4', 0.25],
    ['1 / data.half', 2],
    ['5.5 % 2.0', 1.5],
    ['5.5 % 2', 1.5],
    ['5 % 1.5', 0.5],
    ['-data.one', -1],
    ['data.one == 1', true],
    ['data.one == 1.0', true],
    ['data.half < 1', true],
    ['data.one in [1, 2]', true],
    ['1 in data.list', true],
    ['data.list[data.one]', 1],
    ['data.list[0] + 1', 4],
    ['data.list == [3, 1, 2]', true],
    ['0xFF', 255],
    ['5u + 1u', 6],
    ['0.1 + 0.2', 0.1 + 0.2],
    ['9007199254740991', 9007199254740991],
    ['9007199254740991 + 1', '9007199254740992'],
    ['-9223372036854775807', '-9223372036854775807'],
    ['data.big + 1', 2 ** 53],
    ['int(data.big)', '9007199254740992'],
    ['int("42") + 1', 43],
    ['double("2.5")', 2.5],
    ['string(data.one)', '1'],
    ['0.0 * -1.0', 0],
  ])('%s is %j', (expression, value) => {
    expect(evaluate(expression)).toBe(value);
  });

  it.each<[string, string, number | undefined]>([
    ['1 / 0', 'division by zero', 0],
    ['1 % 0', 'modulo by zero', 0],
    ['data.one / 0', 'the result is Infinity, which JSON has no number for; was something divided by zero?', undefined],
    ['-data.one / 0', 'the result is -Infinity', undefined],
    ['0.0 / 0.0', 'the result is NaN', undefined],
    ['[1, double("nan")]', 'the result is NaN', undefined],
    ['fromJson("1e999")', 'the result is Infinity', undefined],
    ['9223372036854775807 + 1', 'integer overflow', 0],
    ['1e999', 'Invalid number', 0],
    ['data.none + 1', 'no such overload: dyn<null> + int', 0],
    ['data.text + 1', 'no such overload: dyn<string> + int', 0],
    ['data.text * 2', 'no such overload', 0],
    ['data.list[3]', 'index out of bounds, index 3 >= size 3', 0],
    ['data.list[-1]', 'index -1 < 0', 0],
    ['data.list[0.5]', 'index out of bounds', 0],
  ])('%s fails: %s', (expression, message, offset) => {
    expect(failureOf(expression).message).toContain(message);
    expect(failureOf(expression).offset).toBe(offset);
  });

  it('computes with doubles as JavaScript does', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 });
    fc.assert(
      fc.property(finite, fc.integer(), (a, b) => {
        expect(evaluate(`data + ${b}`.replace('+ -', '- '), a)).toBe(a + b === 0 ? 0 : a + b);
        expect(evaluate(`data * (${b})`, a)).toBe(a * b === 0 ? 0 : a * b);
      }),
      { numRuns: 200 },
    );
  });
});

describe('functions of this project', () => {
  it.each<[string, Json]>([
    ['sum([])', 0],
    ['sum([1, 2.5])', 3.5],
    ['sum(data.list)', 6],
    ['sum([1u, 2u])', 3],
    ['sum(data.list.map(x, x * 2))', 12],
    ['round(2.5)', 3],
    ['round(-2.5)', -3],
    ['round(2)', 2],
    ['round(size(data.list))', 3],
    ['round(data.half)', 1],
    ['round(1.005, 2)', 1.01],
    ['round(-1.005, 2)', -1.01],
    ['round(1.45, 1)', 1.5],
    ['round(1234.5, -2)', 1200],
    ['round(1250, -2)', 1300],
    ['round(2, 2)', 2],
    ['round(1e21, 2)', 1e21],
    ['round(1e-7, 2)', 0],
    ['round(-1e-7, 2)', 0],
    ['round(123456789.987654321, 99)', 123456789.98765433],
    ['toJson({"a": [1, 2u, null]})', '{"a":[1,2,null]}'],
    ['toJson(data.map)', '{"x":1,"y":{"z":2}}'],
    ['toJson(timestamp("2026-01-02T03:04:05Z"))', '"2026-01-02T03:04:05.000Z"'],
    ['fromJson("[1, {\\"a\\": null}]")', [1, { a: null }]],
    ['fromJson("{\\"a\\": 1}").a + 1', 2],
    ['fromJson(toJson(data)) == data', true],
    ['data.map + {"x": 2}', { x: 2, y: { z: 2 } }],
    ['{} + {}', {}],
    ['{"a": 1} + {"b": 2} + {"a": 3}', { a: 3, b: 2 }],
    ['({"a": 1} + {"b": 2}).b', 2],
    ['{"a": 1} + {"b": 2} == {"a": 1, "b": 2}', true],
  ])('%s is %j', (expression, value) => {
    expect(evaluate(expression)).toEqual(value);
  });

  it.each<[string, string]>([
    ['sum(data.mixed)', 'sum() takes a list of numbers, got a string at index 1'],
    ['sum([null])', 'got null at index 0'],
    ['sum(data.text)', "found no matching overload for 'sum(string)'"],
    ['round("1")', "found no matching overload for 'round(string)'"],
    ['fromJson("{")', 'fromJson() was not given JSON'],
    ['fromJson("")', 'fromJson() was not given JSON'],
    ['fromJson(data.one)', "found no matching overload for 'fromJson(double)'"],
    ['toJson(int)', 'a type cannot be a result'],
    ['toJson(0.0 / 0.0)', 'the result is NaN'],
  ])('%s fails: %s', (expression, message) => {
    expect(failureOf(expression).message).toContain(message);
  });

  it.each([102, 5_000, 100_000])('fromJson refuses a value %i levels deep', (depth) => {
    const text = '['.repeat(depth) + ']'.repeat(depth);
    expect(failureOf('size(fromJson(data))', text).message).toMatch(/nested deeper than 100 levels|call stack/);
  });
});

describe('results', () => {
  it.each<[string, Json]>([
    ['null', null],
    ['data', DATA],
    ['"a" + "b"', 'ab'],
    ['[1, "two", null, [true]]', [1, 'two', null, [true]]],
    ['{"a": 1, "b": {"c": [2]}}', { a: 1, b: { c: [2] } }],
    ['{1: "a", true: "b"}', { 1: 'a', true: 'b' }],
    ['b""', ''],
    ['b"a"', 'YQ=='],
    ['b"ab"', 'YWI='],
    ['b"abc"', 'YWJj'],
    ['b"\\xff\\x00"', '/wA='],
    ['bytes("é")', 'w6k='],
    ['timestamp("2026-01-02T03:04:05+01:00")', '2026-01-02T02:04:05.000Z'],
    ['timestamp("2026-01-01T00:00:00Z") + duration("25h")', '2026-01-02T01:00:00.000Z'],
    ['timestamp("2026-01-02T00:00:00Z") - timestamp("2026-01-01T00:00:00Z")', 'PT86400S'],
    ['duration("1h30m")', 'PT5400S'],
    ['duration("0s")', 'PT0S'],
    ['duration("1.5s")', 'PT1.5S'],
    ['duration("-1.5s")', '-PT1.5S'],
    ['duration("1ns")', 'PT0.000000001S'],
    ['[duration("10s")]', ['PT10S']],
    ['optional.none()', null],
    ['optional.of(1)', 1],
    ['[optional.of({"a": optional.none()})]', [{ a: null }]],
    ['data.?nope', null],
    ['data.?map.?y.?z', 2],
    ['data.?map.?nope.?z.orValue("none")', 'none'],
    ['data.list[?9].orValue(0)', 0],
    ['data.list.map(x, x > 1, x * 2)', [6, 4]],
    ['data.map.map(key, key)', ['x', 'y']],
    ['size("👍")', 1],
    ['data.text.size()', 7],
    ['has(data.none)', true],
    ['has(data.nope)', false],
    ['data.nope == 1 || true', true],
    ['data.yes ? "y" : "n"', 'y'],
    ['cel.bind(x, data.one, x + x)', 2],
    ['data.text.matches("^[a-z]+$") || true', true],
    ['["ab", "c"].filter(x, x.matches("^a.$"))', ['ab']],
    // Backtracking engines take years for this one.
    [`"${'a'.repeat(200)}b".matches("^(a+)+$")`, false],
  ])('%s is %j', (expression, value) => {
    expect(evaluate(expression)).toEqual(value);
  });

  it.each<[string, string]>([
    ['int', 'a type cannot be a result'],
    ['type(data.one)', 'a type cannot be a result'],
    ['[string]', 'a type cannot be a result'],
    ['{"a": google.protobuf}', 'a type cannot be a result'],
    ['cel', 'a type cannot be a result'],
    ['optional', 'a type cannot be a result'],
    ['size', 'Unknown variable: size'],
    ['data.nope', 'No such key: nope'],
    ['data.text ? 1 : 2', "Ternary condition must be bool, got 'string'"],
    ['data.one && true', 'Logical operator requires bool operands'],
    ['!data.one', 'no such overload: !double'],
    ['timestamp("2026-13-01T00:00:00Z")', 'ISO 8601'],
    ['duration("1 hour")', 'duration'],
    ['data.text.matches("(?=a)")', 'invalid or unsupported Perl syntax'],
    ['data.text.matches("(")', 'matches(): error parsing regexp: missing closing )'],
    ['b"[1]".nope()', 'found no matching overload'],
    ['nope(1)', "found no matching overload for 'nope(int)'"],
  ])('%s fails: %s', (expression, message) => {
    expect(failureOf(expression).message.toLowerCase()).toContain(message.toLowerCase());
  });

  it('may be as deep as 100 levels', () => {
    const nested = (depth: number): Json => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as Json;
    expect(evaluate('data', nested(101))).toEqual(nested(101));
    expect(failureOf('data', nested(103)).message).toBe('the result is nested deeper than 100 levels');
    expect(evaluate('size(data)', nested(103))).toBe(1);
  });

  it('are JSON, whatever the data', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json;
        expect(evaluate('data', json)).toEqual(json);
        expect(evaluate('fromJson(toJson(data))', json)).toEqual(json);
        expect(evaluate('[data][0] == data', json)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('names that objects have in JavaScript', () => {
  it.each(['constructor', '__proto__', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'length'])(
    'data has no %s of its own',
    (name) => {
      for (const data of [{}, [], 'text', 1, true, null] as Json[]) {
        expect(failureOf(`data["${name}"]`, data)).toBeInstanceOf(ExpressionError);
        if (data !== null && typeof data === 'object' && !Array.isArray(data)) {
          expect(evaluate(`has(data.${name})`, data)).toBe(false);
          expect(evaluate(`"${name}" in data`, data)).toBe(false);
        }
      }
    },
  );

  it.each<[string, Json]>([
    ['data', JSON.parse('{"constructor": "McLaren", "a": 1, "b": [{"constructor": null}]}') as Json],
    ['data.constructor', 'McLaren'],
    ['data["constructor"]', 'McLaren'],
    ['data.a + 1', 2],
    ['has(data.constructor)', true],
    ['has(data.nope)', false],
    ['size(data)', 3],
    ['data.b[0].constructor', null],
    ['data.b.map(x, x.constructor == null)', [true]],
    ['data.b.filter(x, has(x.constructor)).size()', 1],
    ['data + {"c": 2}', JSON.parse('{"constructor": "McLaren", "a": 1, "b": [{"constructor": null}], "c": 2}') as Json],
    ['toJson(data.b)', '[{"constructor":null}]'],
    ['fromJson(toJson(data)).constructor', 'McLaren'],
    ['fromJson(toJson(data)) == data', true],
    ['data.a == 1 && data.constructor == "McLaren"', true],
    ['data.b.exists(x, x.constructor == 1) || data.a == 1', true],
  ])('are keys where data has them: %s', (expression, value) => {
    const data = JSON.parse('{"constructor": "McLaren", "a": 1, "b": [{"constructor": null}]}') as Json;
    expect(evaluate(expression, data)).toEqual(value);
  });

  it('keep __proto__ a key of its own', () => {
    const data = JSON.parse('{"__proto__": {"x": 1}, "a": 2}') as Json;
    expect(JSON.stringify(evaluate('data', data))).toBe('{"__proto__":{"x":1},"a":2}');
    expect(JSON.stringify(evaluate('data + {"b": 3}', data))).toBe('{"__proto__":{"x":1},"a":2,"b":3}');
    expect(JSON.stringify(evaluate('fromJson(toJson(data))', data))).toBe('{"__proto__":{"x":1},"a":2}');
    expect(evaluate('data["__proto__"].x', data)).toBe(1);
    expect(failureOf('data.x', data).message).toBe('No such key: x');
  });

  it.each(['constructor', 'toString', '__proto__', 'globalThis', 'process', 'require', 'this', 'undefined'])(
    'are no variables: %s',
    (name) => {
      expect(failureOf(name)).toBeInstanceOf(ExpressionError);
      expect(checkExpression(name, ['data'])).toBeInstanceOf(ExpressionError);
    },
  );
});

describe('errors', () => {
  it.each<[string, number, string]>([
    ['', 0, 'Unexpected token: EOF'],
    ['1 +', 3, 'Unexpected token: EOF'],
    ['data.', 5, 'Expected IDENTIFIER'],
    ['(1', 2, 'Expected RPAREN'],
    ['1 2', 2, "Unexpected character: '2'"],
    ['"abc', 0, 'Unterminated string'],
    ['"\\ud800"', 1, 'Invalid Unicode surrogate'],
    ['data.a @ 1', 7, 'Unexpected character'],
    ['data.one + data.nope', 16, 'No such key: nope'],
  ])('of %j are at character %i', (expression, offset, message) => {
    const error = failureOf(expression);
    expect(error.message).toContain(message);
    expect(error).toMatchObject({ offset, expression });
  });

  it('are all there are, on any text', () => {
    const piece = fc.constantFrom(
      ...['data', '.one', '.list', '[0]', '1', '"a"', '+', '-', '*', '/', '(', ')', '[', ']', '{', '}', ':', ','],
      ...[
        '?',
        '.?',
        '&&',
        '||',
        '!',
        '==',
        '<',
        ' in ',
        'null',
        'true',
        'size',
        '.map(x, x)',
        '.all(x, ',
        'has(',
        '"',
        "'",
      ],
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece, { maxLength: 15 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (expression) => {
        const problem = checkExpression(expression, ['data']);
        expect(problem === undefined || problem instanceof ExpressionError).toBe(true);
        try {
          JSON.stringify(evaluate(expression));
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('work', () => {
  const numbers = (count: number) => ({
    data: { l: Array.from({ length: count }, (_, n) => n), m: Array.from({ length: count }, (_, n) => n) },
  });
  const doubling = (step: string) =>
    Array.from({ length: 29 }).reduce<string>(
      (inner, _, n) => `cel.bind(a${n}, ${inner}, ${step.replaceAll('$', `a${n}`)})`,
      'data.l',
    );
  test.each([
    ['nested loops', 'data.l.filter(a, data.l.all(b, data.l.all(c, true)))', 1_000],
    ['a result of many items', 'data.l.map(a, data.l.map(b, data.l))', 200],
    ['a loop that searches a list', 'data.l.all(a, a in data.l)', 100_000],
    ['a loop that compares lists', 'data.l.all(a, data.l == data.m)', 100_000],
    ['lists that double', doubling('$ + $'), 10],
    ['lists that hold another twice', doubling('[$, $]'), 10],
    ['text that doubles', doubling('$ + $').replace('data.l', '"some text"'), 1],
  ])('is limited for %s', (_, expression, count) => {
    expect(() => compileExpression(expression)(numbers(count))).toThrow(
      /too much work for expressions|Invalid string length/,
    );
  });

  test('is enough for each of 1,000 items to look at all others', () => {
    const result = compileExpression('size(data.l.filter(a, data.l.exists(b, a + 1.0 == b)))')(numbers(1_000));
    expect(result).toBe(999);
  });

  test('is taken from a budget that evaluations share', () => {
    const budget = { left: 250 };
    const evaluate = compileExpression('data.l.map(x, x * 2)');
    expect(evaluate(numbers(10), budget)).toHaveLength(10);
    expect(() => {
      for (let times = 0; times < 10; times += 1) evaluate(numbers(10), budget);
    }).toThrow('too much work for expressions');
  });
});

describe('time', () => {
  const zone = process.env.TZ;
  afterEach(() => {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  });
  // Clocks in Berlin went from 02:00 to 03:00 on 2024-03-31.
  test.each(['UTC', 'Europe/Berlin', 'America/New_York'])('is the same on a machine in %s', (machineZone) => {
    process.env.TZ = machineZone;
    const results = [
      'timestamp("2024-03-31T02:30:00Z").getHours("UTC")',
      'timestamp("2024-03-31T02:30:00Z").getHours("Europe/Berlin")',
      'timestamp("2024-07-01T00:30:00Z").getDayOfYear()',
      'timestamp("2024-03-31T00:30:00Z").getDayOfYear("UTC")',
      'timestamp("2024-01-01T00:30:00Z").getFullYear("America/New_York")',
      'duration("90m").getHours()',
      'timestamp(60).getMinutes()',
    ].map((expression) => compileExpression(expression)({}));
    expect(results).toEqual([2, 4, 182, 90, 2023, 1, 1]);
  });

  test.each(['Jan 15 2024 10:00:00', '2024-01-15T10:00:00.0', 'soon'])('needs a zone: %s', (text) => {
    expect(() => compileExpression(`timestamp("${text}")`)({})).toThrow('ISO 8601 text with a zone');
  });
});
