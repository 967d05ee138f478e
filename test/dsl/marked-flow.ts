import { isErrorCode } from '../../src/dsl/error-codes';
import { type ValidFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';

/** First lines of a document. */
export const HEADER = "document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\n";
const CEL = 'evaluate: { language: cel }\n';

/** Stands in a text where a problem is expected; it is taken out before the text is read. */
const MARK = '«';

/** A document in CEL with these tasks; other parts of the document may stand before `do`. */
export function flowText(tasks: string, before = ''): string {
  return `${HEADER}${CEL}${before}do:\n${tasks.replace(/^/gm, '  ')}\n`;
}

/** A document that has to be valid. */
export function validFlow(text: string): ValidFlow {
  const { flow, problems } = validateFlowText(text);
  if (flow === undefined) throw new Error(`not valid: ${JSON.stringify(problems, undefined, 2)}`);
  return flow;
}

/**
 * Rows of a table of bad values: `CODE | part of the message | text with a mark where the problem stands`, as arguments
 * of a test in another order, so that a test is named after the text.
 */
export function badRows(rows: readonly string[]): [text: string, code: string, message: string][] {
  return rows.map((row) => {
    const [, code = '', message = '', text = ''] = /^(\w+) \| (.*?) \| (.*)$/s.exec(row) ?? [];
    if (!isErrorCode(code) || !text.includes(MARK)) throw new Error(`not a row: ${row}`);
    return [text, code, message];
  });
}

/** Expects one problem, at the mark of the text. */
export function expectProblem(marked: string, code: string, message: string): void {
  expectProblems(marked, [`${code} ${message}`]);
}

/** Expects these problems and no others, one at each mark of the text: `CODE part of the message`, in the order of the text. */
export function expectProblems(marked: string, expected: readonly string[]): void {
  const { problems } = validateFlowText(marked.replaceAll(MARK, ''));
  const marks = positionsOfMarks(marked);
  const codes = expected.map((row, index) => `${marks[index] ?? 'no mark'} ${row.split(' ', 1).join()}`);
  expect(problems.map(({ code, position }) => `${position?.line}:${position?.column} ${code}`)).toEqual(codes);
  expect(marks).toHaveLength(expected.length);
  for (const [index, row] of expected.entries()) {
    expect(problems[index]?.message).toContain(row.slice(row.indexOf(' ') + 1));
  }
}

function positionsOfMarks(marked: string): string[] {
  return marked.split('\n').flatMap((line, index) => {
    let column = 1;
    return line
      .split(MARK)
      .slice(0, -1)
      .map((piece) => {
        column += piece.length;
        return `${index + 1}:${column}`;
      });
  });
}
