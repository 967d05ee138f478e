import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FLOW_TEST_FILE } from '../../src/dsl/flow-test/flow-test';
import { DOCUMENT_ORDER, TASK_ORDER } from '../../src/dsl/format/canonical-order';
import { formatFlowText } from '../../src/dsl/format/format-flow';
import { BASE_KEYS, TASK_KINDS } from '../../src/dsl/validation/check-task';

const EXAMPLES = join(__dirname, '../../examples');

function formatted(text: string): string {
  const result = formatFlowText(text);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.text;
}

describe('formatting a flow', () => {
  it('knows every key of every kind of task', () => {
    const keys = Object.values(TASK_KINDS).flatMap(({ required = [], optional = [] }) => [...required, ...optional]);
    expect([...TASK_ORDER].sort()).toEqual([...new Set([...keys, ...BASE_KEYS])].sort());
    expect(DOCUMENT_ORDER).toHaveLength(8);
  });

  it('puts the keys of the document, of its header and of tasks in order, at any depth', () => {
    const text = `output: { as: data }
do:
  - loop:
      metadata: { concurrency: 2 }
      do:
        - try:
            catch:
              do: [{ a: { output: { as: data }, set: { b: 1, a: 2 }, if: data.x } }]
            try:
              - b: { with: { path: a }, call: fs.get }
      while: data.x
      for: { in: data.list }
use:
  functions:
    mine: { set: { z: 1, a: 2 }, input: { from: data } }
document: { version: '1.0.0', name: a, dsl: '1.0.3', namespace: b }
evaluate: { language: cel }
`;
    expect(formatted(text)).toBe(`document: { dsl: '1.0.3', namespace: b, name: a, version: '1.0.0' }

evaluate: { language: cel }

use:
  functions:
    mine: { input: { from: data }, set: { z: 1, a: 2 } }

do:
  - loop:
      for: { in: data.list }
      while: data.x
      do:
        - try:
            try:
              - b: { call: fs.get, with: { path: a } }
            catch:
              do: [{ a: { if: data.x, set: { b: 1, a: 2 }, output: { as: data } } }]
      metadata: { concurrency: 2 }

output: { as: data }
`);
  });

  it('leaves unknown keys at the end, in their order', () => {
    expect(formatted('steps: 1\nzebra: 2\ndo: []\n')).toBe('do: []\n\nsteps: 1\n\nzebra: 2\n');
  });

  it('keeps comments at what they are about', () => {
    const text = `# yaml-language-server: $schema=flow.schema.json
do:
    # the first step
    - a:   # called a
        # what it does
        set: {x: 1}   # one
        # whether it does
        if: data.x


    # the second step
    - b: {wait: PT1S}
    # no more steps
# the name
document: {dsl: '1.0.3'}
# the end
`;
    expect(formatted(text)).toBe(`# yaml-language-server: $schema=flow.schema.json

# the name
document: { dsl: '1.0.3' }

do:
  # the first step
  - a:
      # whether it does
      if: data.x
      # called a
      # what it does
      set: { x: 1 } # one

  # the second step
  - b: { wait: PT1S }
  # no more steps

# the end
`);
  });

  it('keeps the lines of texts, at their new indentation', () => {
    const text = `do:
    - a:
        set:
            literal: |
                SELECT 1
                  FROM t

            folded: >-
                a long line
                goes on

                  deeper
            kept: |+
                x

            plain: one
                two
            quoted: "one
                two \\
                three"
`;
    expect(formatted(text)).toBe(`do:
  - a:
      set:
        literal: |
          SELECT 1
            FROM t

        folded: >-
          a long line
          goes on

            deeper
        kept: |+
          x

        plain: one
          two
        quoted: "one
          two \\
          three"
`);
  });

  it.each([
    ['"text"', "'text'"],
    ["'text'", "'text'"],
    ['text', 'text'],
    ['"it\'s"', '"it\'s"'],
    ["'it''s'", '"it\'s"'],
    ['"a\\tb"', '"a\\tb"'],
    ['"a \\"b\\" c"', '\'a "b" c\''],
    ['"\\u00e9"', '"\\u00e9"'],
    ['"${ data.a == \\"b\\" }"', '\'${ data.a == "b" }\''],
    ["${ data.a == 'b' }", "${ data.a == 'b' }"],
    ['1.50', '1.50'],
    ['0x1F', '0x1F'],
    ['1e3', '1e3'],
    ['~', '~'],
    ['[ 1,2 ]', '[1, 2]'],
    ['{a: 1}', '{ a: 1 }'],
    ['!!str 12', '!!str 12'],
  ])('writes the value %s as %s', (value, expected) => {
    expect(formatted(`a: ${value}\n`)).toBe(`a: ${expected}\n`);
  });

  it('keeps anchors and aliases', () => {
    const text = 'use:\n  retries: { a: &often { delay: PT1S } }\ndo:\n- b: { try: [], catch: { retry: *often } }\n';
    expect(formatted(text)).toBe(
      'use:\n  retries: { a: &often { delay: PT1S } }\n\ndo:\n  - b: { try: [], catch: { retry: *often } }\n',
    );
  });

  it('leaves the keys where they are where an alias would come to stand before its anchor', () => {
    const text = 'output: &out { as: data }\ninput: { from: *out }\n';
    expect(formatted(text)).toBe('output: &out { as: data }\n\ninput: { from: *out }\n');
  });

  it('breaks lines of brackets that are too long, and no texts', () => {
    const text = `a: { b: '${'x'.repeat(200)}', c: 1 }\nd: ${'y '.repeat(100)}z\n`;
    expect(formatted(text)).toBe(`a:\n  {\n    b: '${'x'.repeat(200)}',\n    c: 1\n  }\n\nd: ${'y '.repeat(100)}z\n`);
  });

  it('formats JSON as JSON, with its spelling', () => {
    const text = '{"do":[{"a":{"wait":"PT1S","if":"\\u00e9 \\"x\\""}}, {}, []],"document":{"n":1.50e3}}';
    expect(formatted(text)).toBe(`{
  "document": {
    "n": 1.50e3
  },
  "do": [
    {
      "a": {
        "if": "\\u00e9 \\"x\\"",
        "wait": "PT1S"
      }
    },
    {},
    []
  ]
}
`);
  });

  it.each([
    ['nothing', ''],
    ['only comments', '# nothing yet\n'],
    ['a lone value', 'text\n'],
    ['a list', '-   1\n'],
  ])('leaves %s as it is', (_what, text) => {
    expect(formatted(text)).toBe(text);
  });

  it('drops a byte order mark and the line ends of Windows', () => {
    expect(formatted('\uFEFFdo: []\r\noutput: {as: data}\r\n')).toBe('do: []\n\noutput: { as: data }\n');
  });

  it.each([
    [
      'an alias bomb',
      [
        'a0: &a0 [x, x]',
        ...Array.from({ length: 20 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n}, `.repeat(9)}x]`),
      ].join('\n'),
    ],
    ['10 MB', `a: ${'x'.repeat(10_000_000)}`],
    ['deep nesting', `${'{a: '.repeat(10_000)}1${'}'.repeat(10_000)}`],
    [
      'what is too large once it is formatted',
      `a: {${Array.from({ length: 40_000 }, (_, n) => `k${n}: 1`).join(',')}}`.padEnd(999_990, ' '),
    ],
  ])('refuses %s', (_what, text) => {
    expect(formatFlowText(text)).toEqual({ problems: [expect.objectContaining({ code: 'BLW_DOC_TOO_LARGE' })] });
  });

  it.each([
    ['a tab', 'do:\n\t- a: 1\n', { line: 2, column: 1 }],
    ['a key that is there twice', 'do: []\ndo: []\n', { line: 2, column: 1 }],
    ['a bracket that is not closed', 'do: [\n', { line: 2, column: 1 }],
    ['an alias to nothing', 'do: *nothing\n', { line: 1, column: 5 }],
  ])('says where the text has %s', (_what, text, position) => {
    const result = formatFlowText(text);
    expect(result).toEqual({
      problems: expect.arrayContaining([expect.objectContaining({ code: 'BLW_DOC_SYNTAX', position })]),
    });
  });

  it.each(readdirSync(EXAMPLES).filter((file) => !FLOW_TEST_FILE.test(file)))(
    'has nothing to do with %s of the examples',
    (file) => {
      const text = readFileSync(join(EXAMPLES, file), 'utf8');
      expect(formatted(text)).toBe(text);
    },
  );
});
