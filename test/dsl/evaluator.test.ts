import { FlowError } from '../../src/dsl/errors';
import type { Variables } from '../../src/dsl/expressions/batch';
import { Evaluator } from '../../src/dsl/expressions/evaluator';
import { compileTemplate, compileUri, type Template } from '../../src/dsl/expressions/template';
import type { Json } from '../../src/dsl/json';

const evaluator = new Evaluator();

function withData(data: Json, others: Record<string, unknown> = {}): Variables {
  return { ...others, data };
}

function renderTemplate(template: Template, variables: Variables): Json {
  return evaluator.evaluateBatch({ items: [{ name: 'it', template }], variables }).it ?? null;
}

function evaluate(expression: string, variables: Variables): Json {
  return evaluator.evaluate({ expression, variables });
}

function render(value: Json, data: Json, others?: Record<string, unknown>): Json {
  return renderTemplate(compileTemplate(value, 'cel'), withData(data, others));
}

function renderUri(uri: string, data: Json): Json {
  return renderTemplate(compileUri(uri, 'cel'), withData(data));
}

function detailOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (!(error instanceof FlowError)) throw error;
    expect(error.data).toMatchObject({ code: 'BLW_EXPR_FAILED', status: 400 });
    return error.data.detail ?? '';
  }
  throw new Error('it did not fail');
}

describe('render', () => {
  const DATA: Json = { id: 7, name: 'Ada', tags: ['a', 'b'], none: null, yes: true, half: 0.5, deep: { a: [1] } };
  it.each<[string, Json, Json]>([
    ['a constant', { a: [1, 'x'] }, { a: [1, 'x'] }],
    ['one expression as the value itself', '${ data.tags }', ['a', 'b']],
    ['an expression in text', 'Hello ${ data.name }!', 'Hello Ada!'],
    ['numbers in text', '${ data.id }-${ data.half }', '7-0.5'],
    ['booleans in text', 'is ${ data.yes }', 'is true'],
    ['null in text as nothing', '<${ data.none }>', '<>'],
    ['lists and objects in text as JSON', '${ data.tags } ${ data.deep }', '["a","b"] {"a":[1]}'],
    ['lists', ['${ data.id }', 1, ['${ data.name }']], [7, 1, ['Ada']]],
    ['objects', { a: '${ data.id }', b: { c: '${ data.name }' } }, { a: 7, b: { c: 'Ada' } }],
    ['keys as they stand', { '${ data.id }': '${ data.id }' }, { '${ data.id }': 7 }],
    ['optional values', '${ data.?nope.orValue("-") }', '-'],
  ])('gives %s', (_what, value, expected) => {
    expect(render(value, DATA)).toEqual(expected);
  });

  it('keeps the key __proto__', () => {
    const value = JSON.parse('{"__proto__": "${ data.id }", "a": 1}') as Json;
    expect(JSON.stringify(render(value, DATA))).toBe('{"__proto__":7,"a":1}');
  });

  it('reads all variables that it is given', () => {
    const others = { steps: { a: { output: [1] } }, item: 'x', context: null, workflow: { input: { constructor: 1 } } };
    expect(render({ a: '${ steps.a.output[0] }', b: '${ item }', c: '${ context }' }, 1, others)).toEqual({
      a: 1,
      b: 'x',
      c: null,
    });
    expect(render('${ workflow.input.constructor }', 1, others)).toBe(1);
  });

  it('parses an expression once, and evaluates it on other data each time', () => {
    const template = compileTemplate('${ data.a }', 'cel');
    expect([1, 'x', null, [1]].map((a) => renderTemplate(template, withData({ a })))).toEqual([1, 'x', null, [1]]);
    expect(detailOf(() => renderTemplate(template, withData({})))).toContain('No such key: a');
  });

  it('leaves the data as it was', () => {
    const data = JSON.parse('{"list": [{"constructor": 1}], "a": 1}') as Json;
    const before = JSON.stringify(data);
    evaluate('data + {"b": 2}', withData(data));
    evaluate('data.list.map(x, x.constructor)', withData(data));
    expect(JSON.stringify(data)).toBe(before);
  });
});

describe('failures', () => {
  it.each<[string, Json, string]>([
    ['data.nope', {}, '${ data.nope } at character 6: No such key: nope'],
    ['1 + "a"', {}, '${ 1 + "a" } at character 1: no such overload'],
    ['data. ', {}, '${ data.  } at character 7'],
    ['data / 0', 1, '${ data / 0 }: the result is Infinity'],
    ['nope', {}, 'Unknown variable: nope'],
    ['data.a.b.c', { a: { b: 'text' } }, 'No such key: c'],
  ])('of %s say where', (expression, data, detail) => {
    expect(detailOf(() => evaluate(expression, withData(data)))).toContain(detail);
  });

  it('are the same for a text with an expression in it', () => {
    expect(detailOf(() => render('a ${ data.nope } b', {}))).toContain('No such key: nope');
  });
});

describe('conditions', () => {
  const holds = (condition: string, data: Json) =>
    evaluator.evaluateBatch({ items: [{ name: 'it', condition, field: 'when' }], variables: withData(data) }).it;

  it('takes true and false', () => {
    expect(holds('data > 1', 2)).toBe(true);
    expect(holds('data > 1', 1)).toBe(false);
  });

  it.each<[Json, string]>([
    [1, 'a number'],
    [0, 'a number'],
    ['true', 'a string'],
    ['', 'a string'],
    [null, 'null'],
    [[], 'an array'],
    [{}, 'an object'],
  ])('refuses %j', (data, got) => {
    expect(detailOf(() => holds('data', data))).toBe(`when: \${ data } gave ${got}, expected true or false`);
  });
});

describe('a batch', () => {
  const text = (name: string, value: Json, bind?: string[]) => ({
    name,
    template: compileTemplate(value, 'cel'),
    ...(bind === undefined ? {} : { bind }),
  });

  it('gives the values by name, in order, later ones on what earlier ones bound', () => {
    const items = [
      text('input', '${ data.order }', ['input', 'data']),
      text('with', { id: '${ data.id }', all: '${ input }' }),
    ];
    expect(evaluator.evaluateBatch({ items, variables: withData({ order: { id: 7 } }) })).toEqual({
      input: { id: 7 },
      with: { id: 7, all: { id: 7 } },
    });
  });

  it.each([
    [false, { if: false }],
    [true, { if: true, after: 1 }],
  ])('ends where a condition says so (%s)', (data, expected) => {
    const items = [{ name: 'if', condition: 'data', field: 'if', stopIf: false }, text('after', 1)];
    expect(evaluator.evaluateBatch({ items, variables: withData(data) })).toEqual(expected);
  });
});

describe('URIs', () => {
  const DATA: Json = {
    id: 4711,
    text: 'a b/c?d#e&f=g',
    letters: 'äöü 名前 👍',
    marks: "!'()*-._~",
    no: false,
    none: null,
    empty: '',
    'order.id': 'dotted',
    object: {},
    list: [1],
    half: '\ud800',
  };
  it.each([
    ['https://x.test/a', 'https://x.test/a'],
    ['https://x.test/{id}', 'https://x.test/4711'],
    ['https://x.test/{id}/{id}', 'https://x.test/4711/4711'],
    ['https://x.test/{text}', 'https://x.test/a%20b%2Fc%3Fd%23e%26f%3Dg'],
    ['https://x.test/{letters}', 'https://x.test/%C3%A4%C3%B6%C3%BC%20%E5%90%8D%E5%89%8D%20%F0%9F%91%8D'],
    ['https://x.test/{marks}', 'https://x.test/%21%27%28%29%2A-._~'],
    ['https://x.test/{no}', 'https://x.test/false'],
    ['https://x.test/{none}/{empty}/{nope}/', 'https://x.test////'],
    ['https://x.test/{order.id}', 'https://x.test/dotted'],
    ['https://x.test/{constructor}{__proto__}{toString}', 'https://x.test/'],
  ])('expands %s', (uri, expected) => {
    expect(renderUri(uri, DATA)).toBe(expected);
  });

  it.each<[string, string]>([
    ['{object}', '{object} in a URI: got an object, expected text, a number or a boolean'],
    ['{list}', '{list} in a URI: got an array'],
    ['{half}', 'half of a surrogate pair'],
  ])('refuses %s', (uri, detail) => {
    expect(detailOf(() => renderUri(uri, DATA))).toContain(detail);
  });

  it.each<Json>(['text', 5, null, [1], true])('expands variables to nothing where the data is %j', (data) => {
    expect(renderUri('https://x.test/{id}', data)).toBe('https://x.test/');
  });

  it('leaves braces alone beside an expression, and encodes nothing', () => {
    expect(renderUri('https://x.test/${ data.text }/{id}', DATA)).toBe('https://x.test/a b/c?d#e&f=g/{id}');
  });
});
