import type { Token } from './token';

/** Signs after which a `/` divides: they end a value. All others begin an operand, and there it begins a pattern. */
const ENDS_VALUE: ReadonlySet<string> = new Set(['variable', 'name', 'string', 'close']);

/** Words that are operators behind a value, so that a `/` after them begins a pattern. */
const WORD_OPERATORS: ReadonlySet<string> = new Set(['and', 'or', 'in']);

/**
 * The tokens of a JSONata expression, as its own lexer finds them: strings in either quotes, names in backticks, comments
 * between slash and asterisk, patterns between slashes. Ends behind the text, or at what is never closed.
 */
export function* jsonataTokens(source: string, from = 0): Generator<Token> {
  let at = from;
  let last: Token | undefined;
  while (at < source.length) {
    const token = jsonataToken(source, at, beginsOperand(last));
    yield token;
    if (token.kind === 'unclosed') return;
    at = token.end;
    if (token.kind !== 'comment' && token.text.trim() !== '') last = token;
  }
}

function beginsOperand(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === 'name' && WORD_OPERATORS.has(last.text)) return true;
  // A lone * or % may be a value itself (a wildcard, the parent); a pattern never follows the operator.
  return !ENDS_VALUE.has(last.kind) && last.text !== '*' && last.text !== '%';
}

function jsonataToken(source: string, at: number, isOperand: boolean): Token {
  const char = source.charAt(at);
  const make = (kind: Token['kind'], text: string, end: number): Token => ({ kind, text, at, end, depth: 0 });
  const unclosed = (): Token => make('unclosed', char, source.length);
  if (char === '"' || char === "'") {
    const end = closingQuote(source, at);
    return end === -1 ? unclosed() : make('string', source.slice(at + 1, end), end + 1);
  }
  if (char === '`') {
    const end = source.indexOf('`', at + 1);
    return end === -1 ? unclosed() : make('name', source.slice(at + 1, end), end + 1);
  }
  if (char === '/' && source.charAt(at + 1) === '*') {
    const end = source.indexOf('*/', at + 2);
    return end === -1 ? unclosed() : make('comment', source.slice(at, end + 2), end + 2);
  }
  if (char === '/' && isOperand) {
    const end = patternEnd(source, at + 1);
    return end === -1 ? unclosed() : make('string', source.slice(at, end), end);
  }
  if ('([{'.includes(char)) return make('open', char, at + 1);
  if (')]}'.includes(char)) return make('close', char, at + 1);
  WORD.lastIndex = at;
  const [word = ''] = WORD.exec(source) ?? [];
  if (word === '') return make('sign', char, at + 1);
  return word.startsWith('$')
    ? make('variable', word.slice(1), at + word.length)
    : make('name', word, at + word.length);
}

/** What JSONata's lexer takes as one name: all up to white space or the sign of an operator. */
const WORD = /[^\s.[\](){},@#;:?+\-*/%|=<>^&!~"'`]+/y;

function closingQuote(source: string, from: number): number {
  const quote = source.charAt(from);
  for (let at = from + 1; at < source.length; at += 1) {
    if (source.charAt(at) === '\\') at += 1;
    else if (source.charAt(at) === quote) return at;
  }
  return -1;
}

/** Offset behind a pattern and its flags: slashes within brackets or after a backslash belong to it. */
function patternEnd(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === '\\') at += 1;
    else if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    else if (char === '/' && depth === 0) {
      const [flags = ''] = /^[im]*/.exec(source.slice(at + 1, at + 8)) ?? [];
      return at + 1 + flags.length;
    }
  }
  return -1;
}
