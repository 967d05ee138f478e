import fc from 'fast-check';
import { MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_LENGTH, parseDocumentText } from '../../src/dsl/document';
import type { Json } from '../../src/dsl/json';
import { MAX_PROBLEMS } from '../../src/dsl/problems';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { documentOf, problemsOf } from './parsed-text';

describe('hostile documents', () => {
  const bomb = (levels: number) =>
    Array.from({ length: levels }, (_, index) =>
      index === 0
        ? 'a0: &a0 [x, x]'
        : `a${index}: &a${index} [${Array(9)
            .fill(`*a${index - 1}`)
            .join(', ')}]`,
    ).join('\n');

  it.each<[string, string]>([
    ['an alias bomb', bomb(30)],
    ['an alias bomb of maps', bomb(30).replaceAll('[', '[{ k: ').replaceAll(', ', ' }, { k: ').replaceAll(']', ' }]')],
    ['10 MB', `a: ${'x'.repeat(10_000_000)}`],
    ['10,000 open brackets', '['.repeat(10_000)],
    ['10,000 brackets', '['.repeat(10_000) + ']'.repeat(10_000)],
    ['10,000 braces', '{a: '.repeat(10_000) + '}'.repeat(10_000)],
    ['10,000 lists in lists', `${'- '.repeat(10_000)}a`],
    ['10,000 keys in keys', `${'? '.repeat(10_000)}a`],
    [
      '1,200 lines, each indented deeper',
      Array.from({ length: 1_200 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    ],
    ['400,000 commas', `[${','.repeat(400_000)}]`],
    ['400,000 empty items', '-\n'.repeat(400_000)],
    ['400,000 empty keys', '?\n'.repeat(400_000)],
    ['a million line ends', '\n'.repeat(999_999)],
    ['300,000 comments', '#\n'.repeat(300_000)],
    ['more values than a flow can have', `[${'1,'.repeat(149_990)}1]`.replace('[', 'a: &a [').concat('\nb: *a\n')],
  ])('are refused as too large: %s', (_what, text) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('BLW_DOC_TOO_LARGE the document is too large');
    expect(problems[0]?.length).toBeLessThan(200);
  });

  it.each<[string, string]>([
    ['200,000 quotes', '"'.repeat(200_000)],
    ['200,000 commas', `[${','.repeat(200_000)}]`],
    ['keys that repeat', Array.from({ length: 40_000 }, (_, index) => `a: ${index}`).join('\n')],
    ['aliases to nothing', Array.from({ length: 40_000 }, () => '- *a').join('\n')],
    ['900,000 exclamation marks', '!'.repeat(900_000)],
    ['900,000 colons', ':'.repeat(900_000)],
  ])('make no more problems than a report lists: %s', (_what, text) => {
    const problems = problemsOf(text);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(MAX_PROBLEMS);
    expect(Math.max(...problems.map((line) => line.length))).toBeLessThan(400);
  });

  it('reads as much as is allowed', () => {
    const keys = Array.from({ length: 30_000 }, (_, index) => `key${index}: 1`).join('\n');
    expect(Object.keys(documentOf(keys).value as object)).toHaveLength(30_000);
    expect(documentOf(`a: ${'x'.repeat(MAX_DOCUMENT_LENGTH - 3)}`).value).toEqual({
      a: 'x'.repeat(MAX_DOCUMENT_LENGTH - 3),
    });
    const nested = '['.repeat(MAX_DOCUMENT_DEPTH) + ']'.repeat(MAX_DOCUMENT_DEPTH);
    expect(problemsOf(nested)).toEqual([]);
    expect(problemsOf(`[${nested}]`)).toEqual([expect.stringContaining('nested deeper than 200 levels')]);
  });

  it('leaves the stack traces of errors as they were', () => {
    const before = Error.stackTraceLimit;
    parseDocumentText('[');
    expect(Error.stackTraceLimit).toBe(before);
  });
});

describe('arbitrary text', () => {
  const piece = fc.constantFrom(
    ...['- ', '? ', ': ', ', ', '[', ']', '{', '}', '&a ', '*a', '!!str ', '!x ', '|\n', '>\n', "'", '"', '#', '---\n'],
    ...[
      '...\n',
      '\n',
      '  ',
      '\t',
      '\r\n',
      '%YAML 1.1\n',
      '<<: ',
      '${ ',
      '}',
      'do:',
      'a',
      '1',
      '~',
      '.inf',
      '\uFEFF',
      '\0',
      '\ud800',
      '\\',
    ],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.array(piece, { maxLength: 120 }).map((pieces) => pieces.join('')),
  );

  it('is read or refused, and never throws', () => {
    fc.assert(
      fc.property(text, (source) => {
        const parsed = parseDocumentText(source);
        if ('problems' in parsed) {
          expect(parsed.problems.length).toBeGreaterThan(0);
          for (const { position } of parsed.problems)
            expect(Math.min(position.line, position.column)).toBeGreaterThan(0);
        } else {
          expect(JSON.parse(JSON.stringify(parsed.document.value))).toEqual(parsed.document.value);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('is validated without an exception', () => {
    fc.assert(
      fc.property(text, (source) => {
        expect(validateFlowText(source).problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives any JSON value back', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const json = JSON.parse(JSON.stringify(value)) as Json;
        const parsed = parseDocumentText(JSON.stringify(json));
        const hasUnsafe = 'problems' in parsed && parsed.problems.every(({ message }) => /more digits/.test(message));
        if (!hasUnsafe) expect(parsed).toMatchObject({ document: { value: json } });
      }),
      { numRuns: 1_000 },
    );
  });
});
