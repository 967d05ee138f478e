import fc from 'fast-check';
import {
  bareExpression,
  compileTemplate,
  compileUri,
  splitString,
  type Template,
  templateExpressions,
} from '../../src/dsl/expressions/template';
import type { Json } from '../../src/dsl/json';

/** Parts of a string in a short form: literal text, or `<expression@offset>`. */
function partsOf(source: string): string[] {
  const { parts, unclosedAt } = splitString(source, 'cel');
  const texts = parts.map((part) => ('text' in part ? part.text : `<${part.expr}@${part.offset}>`));
  return unclosedAt === undefined ? texts : [...texts, `unclosed at ${unclosedAt}`];
}

describe('splitString', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['plain', ['plain']],
    ['${a}', ['<a@2>']],
    ['${ a }', ['<a@2>']],
    ['${}', ['<@2>']],
    ['${ }', ['<@2>']],
    ['x ${ a } y', ['x ', '<a@4>', ' y']],
    ['${a}${b}', ['<a@2>', '<b@6>']],
    ['$${a}', ['$', '<a@3>']],
    ['$ {a}', ['$ {a}']],
    ['$a {b} }', ['$a {b} }']],
    ['\\${a}', ['\\', '<a@3>']],
    ['${ {"a": 1} }', ['<{"a": 1}@2>']],
    ['${ {"a": {"b": {}}} }}', ['<{"a": {"b": {}}}@2>', '}']],
    ['${ "}" }', ['<"}"@2>']],
    ['${ "{" }', ['<"{"@2>']],
    ["${ '}' + \"'\" }", ["<'}' + \"'\"@2>"]],
    ['${ "\\"}" }', ['<"\\"}"@2>']],
    ['${ "\\\\" }', ['<"\\\\"@2>']],
    ['${ "${" }', ['<"${"@2>']],
    ['${ "a ${ b } c" }', ['<"a ${ b } c"@2>']],
    ['${ """ " } """ }', ['<""" " } """@2>']],
    ["${ ''' ' } \\''' ''' }", ["<''' ' } \\''' '''@2>"]],
    ['${ "" }', ['<""@2>']],
    ['${ """""" }', ['<""""""@2>']],
    ['${\n  a\n}', ['<a@2>']],
    ['${ a', ['unclosed at 0']],
    ['x ${ a } ${ b', ['x ', '<a@4>', 'unclosed at 9']],
    ['${ {a }', ['unclosed at 0']],
    ['${ "a }', ['unclosed at 0']],
    ['${ "a\\" }', ['unclosed at 0']],
    ['${ """a" }', ['unclosed at 0']],
    ['${', ['unclosed at 0']],
    ['${ ${ a } }', ['<${ a }@2>']],
  ])('splits %j', (source, parts) => {
    expect(partsOf(source)).toEqual(parts);
  });

  it('loses no character of text without expressions, and ends on any text', () => {
    const piece = fc.constantFrom('${', '}', '{', '"', "'", '"""', '\\', 'a', ' ', '$', '\n', '🙂');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const source = pieces.join('');
        const { parts, unclosedAt } = splitString(source, 'cel');
        const expressions = parts.filter((part) => 'expr' in part);
        for (const { expr, offset } of expressions)
          expect(source.slice(offset).trimStart().startsWith(expr)).toBe(true);
        if (unclosedAt === undefined && expressions.length === 0) expect(partsOf(source).join('')).toBe(source);
        if (unclosedAt !== undefined) expect(source.startsWith('${', unclosedAt)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('splits a long text in linear time', () => {
    expect(splitString('${a}'.repeat(50_000), 'cel').parts).toHaveLength(50_000);
    expect(splitString('${'.repeat(100_000), 'cel').unclosedAt).toBe(0);
    expect(splitString(`\${${"'".repeat(300_001)}`, 'cel').unclosedAt).toBe(0);
  });
});

describe('bareExpression', () => {
  it.each([
    ['data.a', 'data.a'],
    ['  data.a ', 'data.a'],
    ['${ data.a }', 'data.a'],
    [' ${data.a} ', 'data.a'],
    ['{"a": 1}.a', '{"a": 1}.a'],
    ['"a" + "b"', '"a" + "b"'],
  ])('of %j is %j', (source, expression) => {
    expect(bareExpression(source, 'cel')).toBe(expression);
  });
});

describe('compileTemplate', () => {
  it.each<[string, Json, Template]>([
    ['a number', 1, { value: 1 }],
    ['text', 'a', { value: 'a' }],
    ['an expression', '${ a }', { expr: 'a' }],
    ['text with one', 'x${ a }', { text: ['x', { expr: 'a' }] }],
    ['blanks around one', ' ${ a }', { text: [' ', { expr: 'a' }] }],
    ['a constant list', [1, ['a']], { value: [1, ['a']] }],
    ['a list with one', [1, '${ a }'], { list: [{ value: 1 }, { expr: 'a' }] }],
    ['a constant object', { a: { b: [] } }, { value: { a: { b: [] } } }],
    [
      'an object with one',
      { a: 1, b: '${ c }' },
      {
        map: [
          ['a', { value: 1 }],
          ['b', { expr: 'c' }],
        ],
      },
    ],
    ['a key that looks like one', { '${ a }': 1 }, { value: { '${ a }': 1 } }],
    ['an object that looks like a template', { expr: 'a' }, { value: { expr: 'a' } }],
  ])('makes %s', (_what, value, template) => {
    expect(compileTemplate(value, 'cel')).toEqual(template);
  });

  it('keeps __proto__ a key', () => {
    const value = JSON.parse('{"__proto__": "${ a }"}') as Json;
    expect(compileTemplate(value, 'cel')).toEqual({ map: [['__proto__', { expr: 'a' }]] });
  });

  it('gives its expressions in the order of the text', () => {
    const template = compileTemplate({ a: '${ 1 } ${ 2 }', b: [3, '${ 3 }', { c: '${ 4 }' }], d: 'none' }, 'cel');
    expect([...templateExpressions(template)]).toEqual(['1', '2', '3', '4']);
  });
});

describe('compileUri', () => {
  it.each<[string, Template]>([
    ['http://x.test', { value: 'http://x.test' }],
    ['http://x.test/{id}', { uri: ['http://x.test/', { variable: 'id' }] }],
    ['{base}/{id}?q={q}', { uri: [{ variable: 'base' }, '/', { variable: 'id' }, '?q=', { variable: 'q' }] }],
    ['${ data.uri }', { expr: 'data.uri' }],
    ['${ data.uri }/{id}', { text: [{ expr: 'data.uri' }, '/{id}'] }],
    ['http://x.test/{', { value: 'http://x.test/{' }],
    ['http://x.test/}{', { value: 'http://x.test/}{' }],
  ])('of %j', (source, template) => {
    expect(compileUri(source, 'cel')).toEqual(template);
  });
});
