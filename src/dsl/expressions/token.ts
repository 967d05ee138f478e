/** A piece of an expression's text, as far as splitting and looking for names needs it. */
export interface Token {
  /** `string` is a quoted text without anything evaluated in it; `open` and `close` are brackets. */
  readonly kind: 'variable' | 'name' | 'string' | 'open' | 'close' | 'sign' | 'comment' | 'unclosed';
  /** The name of a variable or property, the content of a string, else the text itself. */
  readonly text: string;
  readonly at: number;
  /** Offset behind it. */
  readonly end: number;
  /** How deep in interpolations, `"\( … )"`, it stands. */
  readonly depth: number;
}

/**
 * Offset of the `}` that closes a `${`, or -1: the first that no `{` before it opened. What stands in strings, comments and
 * regular expressions does not count.
 */
export function closingBraceIn(tokens: Iterable<Token>): number {
  let open = 0;
  for (const { kind, text, at, depth } of tokens) {
    if (kind === 'unclosed') return -1;
    if (depth > 0) continue;
    if (kind === 'open' && text === '{') open += 1;
    if (kind !== 'close' || text !== '}') continue;
    if (open === 0) return at;
    open -= 1;
  }
  return -1;
}
