import type { Token } from './token';

/**
 * The tokens of a jq expression, as jq's own lexer finds them: strings with `\( … )` in them, comments to the end of the
 * line, no single quotes. Ends behind the text, or at a string or interpolation that is never closed.
 */
export function* jqTokens(source: string, from = 0): Generator<Token> {
  // What is open: strings and the brackets of interpolations. Without recursion, since authors choose the depth.
  const open: ('string' | number)[] = [];
  let at = from;
  let depth = 0;
  let brackets = 0;
  while (at < source.length) {
    if (open.at(-1) === 'string') {
      const stop = stringStop(source, at);
      if (stop === -1) break;
      if (source.charAt(stop) === '"') {
        open.pop();
        at = stop + 1;
        yield { kind: 'sign', text: '"', at: stop, end: at, depth };
      } else {
        at = stop + 2;
        depth += 1;
        open.push(brackets);
        brackets = 0;
      }
      continue;
    }
    const token = jqToken(source, at, depth);
    at = token.end;
    if (token.kind === 'open') brackets += 1;
    if (token.kind === 'close') {
      const outer = open.at(-1);
      if (brackets === 0 && token.text === ')' && typeof outer === 'number') {
        open.pop();
        brackets = outer;
        depth -= 1;
        continue;
      }
      brackets -= 1;
    }
    if (token.kind === 'unclosed') open.push('string');
    else yield token;
  }
  if (open.length > 0) yield { kind: 'unclosed', text: '', at: source.length, end: source.length, depth };
}

/** One token outside of strings; `unclosed` is the beginning of a string that is not plain. */
function jqToken(source: string, at: number, depth: number): Token {
  const char = source.charAt(at);
  if (char === '"') {
    const stop = stringStop(source, at + 1);
    if (stop !== -1 && source.charAt(stop) === '"') {
      return { kind: 'string', text: unescaped(source.slice(at + 1, stop)), at, end: stop + 1, depth };
    }
    return { kind: 'unclosed', text: char, at, end: at + 1, depth };
  }
  if (char === '#') {
    const end = commentEnd(source, at);
    return { kind: 'comment', text: source.slice(at, end), at, end, depth };
  }
  const kind = '([{'.includes(char) ? 'open' : ')]}'.includes(char) ? 'close' : undefined;
  if (kind !== undefined) return { kind, text: char, at, end: at + 1, depth };
  NAME.lastIndex = at;
  const [text = '', dollar, name = ''] = NAME.exec(source) ?? [];
  if (name === '') return { kind: 'sign', text: char, at, end: at + 1, depth };
  return { kind: dollar === '$' ? 'variable' : 'name', text: name, at, end: at + text.length, depth };
}

const NAME = /(\$?)((?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)/y;

/** Offset of the next `"`, or of the backslash of `\(`; -1 where there is none. */
function stringStop(source: string, from: number): number {
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === '"') return at;
    if (char !== '\\') continue;
    if (source.charAt(at + 1) === '(') return at;
    at += 1;
  }
  return -1;
}

/** A comment goes on in the next line where an odd number of backslashes ends its line (jq 1.7, "Comments"). */
function commentEnd(source: string, from: number): number {
  COMMENT.lastIndex = from;
  return from + (COMMENT.exec(source)?.[0].length ?? 1);
}

const COMMENT = /#(?:[^\n\\]|\\[\s\S]|\\$)*/y;

/** The text of a name in quotes; escapes of another kind do not occur in names of steps. */
function unescaped(text: string): string {
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}

const CLOSING: ReadonlyMap<string, string> = new Map([
  ['(', ')'],
  ['[', ']'],
  ['{', '}'],
]);

/**
 * True where all quotes and brackets of an expression close in it, so that brackets around it hold it together: no text in
 * it can end them and go on with something of its own.
 */
export function jqIsSelfContained(expression: string): boolean {
  const expected: string[] = [];
  for (const token of jqTokens(expression)) {
    if (token.kind === 'unclosed') return false;
    if (token.kind === 'open') expected.push(`${CLOSING.get(token.text)}${token.depth}`);
    if (token.kind === 'close' && expected.pop() !== `${token.text}${token.depth}`) return false;
  }
  return expected.length === 0;
}

/** `import`, `include` or `module`, where an expression begins with it; these read files. */
export function jqDirective(expression: string): string | undefined {
  for (const { kind, text } of jqTokens(expression)) {
    if (kind === 'comment' || (kind === 'sign' && text.trim() === '')) continue;
    return kind === 'name' && ['import', 'include', 'module'].includes(text) ? text : undefined;
  }
  return undefined;
}
