import type { YAMLError } from 'yaml';
import { shortText } from './problems';

/** What the library says for its own users, in words for authors. */
const MESSAGES: { readonly [code in YAMLError['code']]?: string } = {
  MULTIPLE_DOCS: 'a second document begins here; a file holds one flow',
  NON_STRING_KEY: 'a key must be text, not a list or an object',
  TAB_AS_INDENT: 'tabs cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'tags (!name) are not known; there are text, numbers, true, false, null, lists and objects',
};

const QUOTE_EXPRESSION = 'write quotes around an expression that has ": ", " #", quotes or brackets in it: \'${ … }\'';

/** What is wrong with a text that is no YAML, and what to do; `source` is all of it. */
export function explainSyntaxError({ code, message, pos }: YAMLError, source: string): string {
  const line = lineAt(source, pos[0]);
  const said = shortText(MESSAGES[code] ?? message, 300);
  const advice = adviceFor(code, message, { line: line.text, column: pos[0] - line.start, source, at: pos[0] });
  return advice === undefined ? said : `${said}; ${advice}`;
}

interface Place {
  readonly line: string;
  /** From 0. */
  readonly column: number;
  readonly source: string;
  readonly at: number;
}

function adviceFor(code: YAMLError['code'], message: string, place: Place): string | undefined {
  const { line, column, source, at } = place;
  const rest = source.slice(at, at + 200);
  if (/\{\{/.test(line) && code === 'NON_STRING_KEY')
    return "text that begins with {{ needs quotes, and an expression is written '${ … }' here";
  if (code === 'TAG_RESOLVE_FAILED')
    return /^!!?[\w(]/.test(rest) && !/^!!/.test(rest)
      ? "text or an expression that begins with ! needs quotes: '!data.closed'"
      : undefined;
  if (code === 'BAD_SCALAR_START') return 'text that begins with such a sign needs quotes';
  if (/^Block scalar header|^Not a YAML token/.test(message)) return 'text that begins with > or | needs quotes';
  if (code === 'BAD_DQ_ESCAPE')
    return 'in double quotes a backslash is written twice; in single quotes it stands for itself';
  if (/block-seq-ind on same line/.test(message)) return 'a list begins in the line below its key';
  if (code === 'BAD_INDENT' && /same column/.test(message)) return 'indent it like the lines that it belongs to';
  if (/block sequence may not be used as an implicit/.test(message))
    return 'indent the dash like those of the list that it belongs to';
  if (isInExpression(line, column)) return QUOTE_EXPRESSION;
  if (/^Nested mappings/.test(message)) {
    return /:\s.*:\s/.test(line)
      ? 'text that has ": " in it needs quotes'
      : 'the line below is indented as if it belonged to this text';
  }
  if (/at node end/.test(message) && /["'\])}]\s*$/.test(line.slice(0, column)))
    return 'the text goes on after its closing quote or bracket; write quotes of the other kind around all of it';
  if (code === 'MULTILINE_IMPLICIT_KEY') return 'is there a space missing after a colon?';
  return undefined;
}

/** True where a `${` without quotes of YAML around it stands in the line before the place, or at it. */
function isInExpression(line: string, column: number): boolean {
  const at = line.indexOf('${');
  return at !== -1 && at <= column + 2;
}

/** Lines may be long: what is looked at is bounded. */
const MAX_LINE = 2_000;

function lineAt(source: string, offset: number): { readonly text: string; readonly start: number } {
  const before = source.slice(Math.max(0, offset - MAX_LINE), offset);
  const start = offset - before.length + before.lastIndexOf('\n') + 1;
  const [text = ''] = source.slice(start, offset + MAX_LINE).split('\n', 1);
  return { text, start };
}
