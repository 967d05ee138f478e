import fc from 'fast-check';
import { parse } from 'yaml';
import { commentsIn } from '../../src/dsl/document';
import { formatFlowText } from '../../src/dsl/format/format-flow';
import type { Json } from '../../src/dsl/json';
import { documentOf } from './parsed-text';

/** Lines above a value, and what stands behind it. */
interface Notes {
  readonly above: readonly string[];
  readonly behind: string;
}

type Tree =
  | { readonly text: string }
  | { readonly block: readonly string[]; readonly header: string }
  | { readonly items: readonly (Notes & { readonly value: Tree })[]; readonly below: readonly string[] }
  | {
      readonly pairs: readonly (Notes & { readonly key: string; readonly value: Tree })[];
      readonly below: readonly string[];
    };

const SCALARS = [
  'plain',
  'a b',
  '${ data.a == "b" }',
  "'single'",
  '"double"',
  "'it''s'",
  '"it\'s"',
  '"tab\\t"',
  '"say \\"x\\""',
  '"back\\\\slash"',
  '1',
  '1.50',
  '0x1F',
  '1e3',
  '-0',
  'true',
  '~',
  'null',
  '""',
  "'#no comment'",
  '"${ \'x\' }"',
  'a#b',
  '[]',
  '{}',
  '[1, 2, "x"]',
  '{a: 1, b: [c, {d: e}]}',
  '"é\\u00e9"',
  "'a: b'",
  'http://x.test/{id}',
  "' '",
  '-1',
  '&one value',
  '*one',
  '*one',
  '&two [1, *one]',
  '*two',
  '*map',
  '!!str 12',
];
const KEYS = [
  'document',
  'do',
  'input',
  'output',
  'use',
  'evaluate',
  'timeout',
  'schedule',
  'call',
  'with',
  'if',
  'then',
  'metadata',
  'for',
  'while',
  'set',
  'try',
  'catch',
  'export',
  'compensate',
  'functions',
  '"quoted"',
  "'single'",
  'name',
  'x',
  'long key',
  '1',
  'dsl',
  'fork',
  'branches',
];
const LINES = ['', '', '# note', '#tight', '# - a: b', '#'];

const above = fc.array(fc.constantFrom(...LINES), { maxLength: 3 });
const behind = fc.constantFrom('', '', '', ' # behind', '   #x');
const scalar = fc.constantFrom(...SCALARS).map((text): Tree => ({ text }));
const block = fc.record({
  header: fc.constantFrom('|', '|-', '|+', '>', '>-', '>+', '| # why', '>- # why'),
  block: fc
    .array(fc.constantFrom('line', 'two words', '', '  deeper', '# no comment', 'x: y', '- z', 'trailing '), {
      minLength: 1,
      maxLength: 5,
    })
    .filter(([first = '']) => first.trim() === first && first !== ''),
});

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    { arbitrary: scalar, weight: 3 },
    { arbitrary: block, weight: 1 },
    {
      arbitrary: fc.record({
        items: fc.array(fc.record({ above, behind, value: tie('tree') }), { minLength: 1, maxLength: 3 }),
        below: above,
      }),
      weight: 2,
    },
    { arbitrary: mapOf(tie('tree')), weight: 4 },
  ),
}));

function mapOf(value: fc.Arbitrary<Tree>): fc.Arbitrary<Tree & { pairs: unknown }> {
  const pair = fc.record({ above, behind, key: fc.constantFrom(...KEYS), value });
  const isSame = (left: string, right: string) => parse(left) === parse(right);
  return fc.record({
    pairs: fc.uniqueArray(pair, { selector: ({ key }) => key, comparator: isSame, minLength: 1, maxLength: 5 }),
    below: above,
  });
}

/** YAML text of a tree at an indentation; the first line goes behind what is there already. */
function render(node: Tree, indent: string, step: string): { head: string; rest: string[] } {
  if ('text' in node) return { head: ` ${node.text}`, rest: [] };
  if ('block' in node)
    return { head: ` ${node.header}`, rest: node.block.map((line) => (line === '' ? '' : `${indent}${line}`)) };
  const notes = (lines: readonly string[]) => lines.map((line) => (line === '' ? '' : `${indent}${line}`));
  const parts =
    'items' in node
      ? node.items.map((item) => ({ ...item, key: '-' }))
      : node.pairs.map((pair) => ({ ...pair, key: `${pair.key}:` }));
  const rest = parts.flatMap(({ above: lines, behind: note, key, value }) => {
    const { head, rest: below } = render(value, `${indent}${step}`, step);
    const canHaveNote = !('block' in value);
    return [...notes(lines), `${indent}${key}${head}${canHaveNote ? note : ''}`, ...below];
  });
  const isAnchored = 'pairs' in node && node.pairs.length === 2;
  return { head: isAnchored ? ' &map' : '', rest: [...rest, ...notes(node.below)] };
}

const texts = fc
  .record({
    root: mapOf(tree),
    step: fc.constantFrom('  ', '    ', '   '),
    end: fc.constantFrom('\n', '\n', '\r\n'),
    start: fc.constantFrom('', '', '---\n', '# top\n\n', '\n\n# a\n\n\n# b\n'),
  })
  .map(({ root, step, start, end }) => `${start}${render(root, '', step).rest.join('\n')}\n`.replaceAll('\n', end));

/** Where comments stand inside of something that may hold none, the text is no YAML. */
const wellFormed = texts.filter((text) => {
  try {
    documentOf(text);
    return true;
  } catch {
    return false;
  }
});

function formatted(text: string): string {
  const result = formatFlowText(text);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.text;
}

/** `FORMAT_RUNS=10000` looks for what the fixed cases of every day do not have; that may take a while. */
const { FORMAT_RUNS } = process.env;
const TIMEOUT_MS = 900_000;
const RUNS = FORMAT_RUNS === undefined ? { numRuns: 250, seed: 1 } : { numRuns: Number(FORMAT_RUNS) };

test(
  'formatting keeps what a document says and its comments, and has nothing to do the second time',
  () => {
    fc.assert(
      fc.property(wellFormed, (text) => {
        const once = formatted(text);
        expect(parse(once)).toEqual(parse(text));
        expect(commentsIn(once).sort()).toEqual(commentsIn(text).sort());
        expect(formatted(once)).toBe(once);
      }),
      RUNS,
    );
  },
  TIMEOUT_MS,
);

test(
  'formatting keeps what a JSON document says, as JSON',
  () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...KEYS)), fc.jsonValue()),
        fc.constantFrom(0, 1, 4),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent);
          fc.pre(!('problems' in formatFlowText(text)));
          const once = formatted(text);
          expect(JSON.parse(once)).toEqual(JSON.parse(text) as Json);
          expect(formatted(once)).toBe(once);
        },
      ),
      RUNS,
    );
  },
  TIMEOUT_MS,
);
