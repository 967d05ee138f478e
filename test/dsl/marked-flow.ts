import type { ErrorCode } from '../../src/dsl/error-codes';
import { type ValidFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';

const HEADER = `document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }
evaluate: { language: cel }
`;

/** Stands in a text where a problem is expected; it is taken out before the text is read. */
const MARK = '«';

/** A document in CEL with these tasks; other parts of the document may stand before `do`. */
export function flowText(tasks: string, before = ''): string {
  return `${HEADER}${before}do:\n${tasks.replace(/^/gm, '  ')}\n`;
}

/** A document that has to be valid. */
export function validFlow(text: string): ValidFlow {
  const { flow, problems } = validateFlowText(text);
  if (flow === undefined) throw new Error(`not valid: ${JSON.stringify(problems, undefined, 2)}`);
  return flow;
}

/** What is expected of a problem: its code, and a telling part of its message. */
export type Expected = readonly [code: ErrorCode, message: string];

/** Expects exactly these problems, one at each mark of the text, in their order. */
export function expectProblems(marked: string, expected: readonly Expected[]): void {
  const { problems } = validateFlowText(marked.replaceAll(MARK, ''));
  const found = problems.map(({ code, position }) => `${position?.line}:${position?.column} ${code}`);
  const marks = positionsOfMarks(marked);
  expect(found).toEqual(expected.map(([code], index) => `${marks[index] ?? 'no mark'} ${code}`));
  for (const [index, [, message]] of expected.entries()) expect(problems[index]?.message).toContain(message);
  expect(marks).toHaveLength(expected.length);
}

function positionsOfMarks(marked: string): string[] {
  return marked.split('\n').flatMap((line, index) => {
    const pieces = line.split(MARK).slice(0, -1);
    let column = 1;
    return pieces.map((piece) => {
      column += piece.length;
      return `${index + 1}:${column}`;
    });
  });
}
