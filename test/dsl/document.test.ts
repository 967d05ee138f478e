import { parseDocumentText } from '../../src/dsl/document';
import type { Json } from '../../src/dsl/json';
import { documentOf, problemsOf } from './parsed-text';

const expectProblem = (text: string, ...lines: string[]) => {
  expect(problemsOf(text)).toEqual(lines.map((line) => expect.stringContaining(line)));
};

describe('values', () => {
  it.each<[string, string, Json]>([
    ['YAML', 'a: 1\nb: [x, { c: null }]\n', { a: 1, b: ['x', { c: null }] }],
    ['JSON', '{"a": [1, 2.5e3, {"b": null}], "c": "\\u00e9\\n"}', { a: [1, 2500, { b: null }], c: 'é\n' }],
    ['nothing', '', null],
    ['blanks', ' \n  \n', null],
    ['only comments', '# one\n# two\n', null],
    ['an end mark', 'a: 1\n...\n', { a: 1 }],
    ['a begin mark', '---\na: 1\n', { a: 1 }],
    ['a byte order mark', '\uFEFFa: 1\n', { a: 1 }],
    ['CRLF', 'a: 1\r\nb:\r\n  - c\r\n', { a: 1, b: ['c'] }],
    ['keys that are no text', '1: a\ntrue: b\nnull: c\n1.5: d\n', { 1: 'a', true: 'b', null: 'c', '1.5': 'd' }],
    ['an empty key', '? \n: a\n', { '': 'a' }],
    ['words that YAML 1.1 had as booleans', 'a: yes\nb: off\n', { a: 'yes', b: 'off' }],
    ['the same, where a directive asks for YAML 1.1', '%YAML 1.1\n---\na: yes\nb: 10\n', { a: 'yes', b: 10 }],
    ['dates', 'a: 2026-01-02\nb: 2026-01-02T03:04:05Z\n', { a: '2026-01-02', b: '2026-01-02T03:04:05Z' }],
    ['numbers of other bases', 'a: 0x1F\nb: 0o17\nc: 1_000\n', { a: 31, b: 15, c: '1_000' }],
    ['the largest safe integers', 'a: 9007199254740991\nb: -9007199254740991\n', { a: 2 ** 53 - 1, b: 1 - 2 ** 53 }],
    ['large numbers with an exponent', 'a: 1e30\nb: 1.5e300\n', { a: 1e30, b: 1.5e300 }],
    [
      'aliases',
      'a: &x [1, { b: 2 }]\nc: *x\nd: [*x, *x]\n',
      {
        a: [1, { b: 2 }],
        c: [1, { b: 2 }],
        d: [
          [1, { b: 2 }],
          [1, { b: 2 }],
        ],
      },
    ],
    ['an anchor that is set twice', 'a: &x 1\nb: *x\nc: &x 2\nd: *x\n', { a: 1, b: 1, c: 2, d: 2 }],
    ['a merge key in quotes', '"<<": { a: 1 }\n', { '<<': { a: 1 } }],
    ['tags of JSON types', 'a: !!str 5\nb: !!int "5"\n', { a: '5', b: 5 }],
    ['control characters', 'a: "\\0\\x07"\n', { a: '\0\x07' }],
    [
      'brackets in text',
      `a: "${'['.repeat(1_000)}"\nb: |\n  ${'{'.repeat(1_000)}\nc: x${'['.repeat(1_000)}\n`,
      { a: '['.repeat(1_000), b: `${'{'.repeat(1_000)}\n`, c: `x${'['.repeat(1_000)}` },
    ],
  ])('reads %s', (_what, text, value) => {
    expect(documentOf(text).value).toEqual(value);
  });

  it('reads -0 as 0, which JSON text cannot tell apart', () => {
    expect(documentOf('[-0, -0.0]').value).toEqual([0, 0]);
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('reads the key %s as plain data', (key) => {
    const { value } = documentOf(`${key}: { polluted: true }\nother: 1\n`);
    expect(Object.keys(value as object)).toEqual([key, 'other']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('gives every alias a value of its own', () => {
    const { value } = documentOf('a: &x { b: 1 }\nc: *x\n');
    const { a, c } = value as { a: Json; c: Json };
    expect(a).toEqual(c);
    expect(a).not.toBe(c);
  });
});

describe('problems', () => {
  it.each<[string, string, string]>([
    ['a tab', 'a:\n\tb: 1\n', '2:1 BLW_DOC_SYNTAX tabs cannot indent; use spaces'],
    ['a key that is there', 'a: 1\nb: 2\na: 3\n', '3:1 BLW_DOC_SYNTAX "a" is there already'],
    ['a key that is there, deep', 'x:\n  - b: 1\n    b: 2\n', '3:5 BLW_DOC_SYNTAX "b" is there already'],
    ['a key that is there in JSON', '{"a": 1, "a": 2}', '1:10 BLW_DOC_SYNTAX "a" is there already'],
    ['a key that is there in another form', '1: a\n"1": b\n', '2:1 BLW_DOC_SYNTAX "1" is there already'],
    ['the key __proto__ twice', '__proto__: 1\n__proto__: 2\n', '2:1 BLW_DOC_SYNTAX "__proto__" is there already'],
    ['a merge key', 'a: &a { x: 1 }\nb:\n  <<: *a\n', '3:3 BLW_DOC_SYNTAX merge keys (<<)'],
    ['a list as a key', '? [a]\n: b\n', '1:3 BLW_DOC_SYNTAX a key must be text'],
    ['an object as a key', '{ { a: 1 }: 2 }', '1:3 BLW_DOC_SYNTAX a key must be text'],
    ['a second document', 'a: 1\n---\nb: 2\n', '2:1 BLW_DOC_SYNTAX a second document begins here'],
    ['a second document after an end', 'a: 1\n...\n---\nb: 2\n', '3:1 BLW_DOC_SYNTAX a second document begins here'],
    ['a tag of another program', 'a: !!js/function "x"\n', '1:4 BLW_DOC_SYNTAX tags (!name) are not known'],
    ['bytes', 'a: !!binary aGVsbG8=\n', '1:4 BLW_DOC_SYNTAX tags'],
    ['a set', 'a: !!set { x }\n', '1:4 BLW_DOC_SYNTAX tags'],
    ['a timestamp', 'a: !!timestamp 2026-01-02\n', '1:4 BLW_DOC_SYNTAX tags'],
    ['a tag of its own', 'a: !secret x\n', '1:4 BLW_DOC_SYNTAX tags'],
    ['infinity', 'a: .inf\n', '1:4 BLW_VALUE_INVALID JSON has no number such as .inf'],
    ['no number', 'a: [.NaN]\n', '1:5 BLW_VALUE_INVALID JSON has no number such as .NaN'],
    ['a number beyond all doubles', 'a: 1e999\n', '1:4 BLW_VALUE_INVALID JSON has no number such as 1e999'],
    [
      'an id of too many digits',
      'a: 9007199254740993\n',
      '1:4 BLW_VALUE_INVALID 9007199254740993 has more digits than a JSON number keeps (2^53); write it in quotes',
    ],
    ['leading zeros', 'a: 01234\n', '1:4 BLW_VALUE_INVALID 01234 is the number 1234 in YAML; write it in quotes'],
    ['an alias to nothing', 'a: *x\nb: &x 1\n', '1:4 BLW_DOC_SYNTAX *x: there is no anchor &x before it'],
    ['an alias to itself', 'a: &a [1, *a]\n', '1:11 BLW_DOC_SYNTAX *a stands inside of what it stands for'],
    ['an alias to what is around', '&a a: 1\nb: &b\n  c: { d: *b }\n', '3:11 BLW_DOC_SYNTAX *b stands inside'],
    ['an open bracket', '{"a": [1, 2}', 'BLW_DOC_SYNTAX'],
    ['an open quote', 'a: "b\n', '2:1 BLW_DOC_SYNTAX Missing closing "quote'],
    ['text after JSON', '{"a": 1} x', '1:10 BLW_DOC_SYNTAX Unexpected scalar'],
    ['a template at the start', 'a: {{ value }}\n', 'BLW_DOC_SYNTAX a key must be text'],
    ['uneven indentation', 'a:\n  b: 1\n c: 2\n', '3:1 BLW_DOC_SYNTAX All mapping items must start at the same column'],
    ['a colon in text', 'a: b: c\n', '1:4 BLW_DOC_SYNTAX Nested mappings are not allowed'],
    ['an at sign', 'a: @b\n', '1:4 BLW_DOC_SYNTAX Plain value cannot start with reserved character @'],
  ])('reports %s', (_what, text, line) => {
    expect(problemsOf(text)).toContainEqual(expect.stringContaining(line));
  });

  it('reports all of them at once, in the order of the text', () => {
    expectProblem(
      'a: 1\na: 2\nb: *nope\nc: .inf\n<<: {}\n',
      '2:1 BLW_DOC_SYNTAX',
      '3:4 BLW_DOC_SYNTAX',
      '4:4 BLW_VALUE_INVALID',
      '5:1 BLW_DOC_SYNTAX',
    );
  });

  it('names the path of a value that is wrong', () => {
    expect(parseDocumentText('do:\n  - a: { with: [1, .inf] }\n')).toMatchObject({
      problems: [{ path: ['do', 0, 'a', 'with', 1], position: { line: 2, column: 20 } }],
    });
  });

  it('counts lines after a byte order mark and with CRLF as editors do', () => {
    expectProblem('\uFEFFa: 1\r\na: 2\r\n', '2:1 BLW_DOC_SYNTAX');
    expectProblem('\uFEFF.inf', '1:1 BLW_VALUE_INVALID');
  });
});

describe('positions', () => {
  const TEXT = `a:
  "b/c": { d: [1, x] }
  e: &e
    - f: 1
g: *e
`;
  it.each<[string, (string | number)[], 'key' | 'value', string]>([
    ['the root', [], 'value', '1:1'],
    ['a key', ['a'], 'key', '1:1'],
    ['its value', ['a'], 'value', '2:3'],
    ['a quoted key', ['a', 'b/c'], 'key', '2:3'],
    ['an item', ['a', 'b/c', 'd', 1], 'value', '2:19'],
    ['an item as key', ['a', 'b/c', 'd', 1], 'key', '2:19'],
    ['a key in a list', ['a', 'e', 0, 'f'], 'key', '4:7'],
    ['a part of an alias', ['g', 0, 'f'], 'value', '5:4'],
    ['what is not there: the nearest around', ['a', 'nope', 'x'], 'key', '2:3'],
    ['an index that is not there', ['a', 'b/c', 'd', 9], 'value', '2:15'],
    ['a path through text', ['a', 'b/c', 'd', 1, 'x'], 'value', '2:19'],
    ['a name of Object', ['constructor'], 'key', '1:1'],
  ])('finds %s', (_what, path, part, expected) => {
    const { line, column } = documentOf(TEXT).locate(path, part);
    expect(`${line}:${column}`).toBe(expected);
  });
});
