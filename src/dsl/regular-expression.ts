import { RE2JS } from 're2js';

/** Patterns compiled before; a loop asks the same one again and again. Compiling is pure, so the cache changes no result. */
const compiled = new Map<string, RE2JS>();
const MAX_COMPILED = 200;

/** A compiled pattern. */
export interface LinearRegExp {
  /** Instructions of its program: how many are tried for each character, at worst. */
  readonly size: number;
  test(text: string): boolean;
}

/**
 * A regular expression of RE2's syntax, as CEL and JSON Schema advise: matching takes time linear in the text, whatever the
 * pattern. JavaScript's own engine backtracks, so that one tenant's pattern could stall the thread that all flows share.
 * Throws an Error that says what is wrong with the pattern; there is no look-around and no back reference.
 */
export function linearRegExp(pattern: string): LinearRegExp {
  const expression = compiled.get(pattern) ?? RE2JS.compile(pattern);
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(pattern, expression);
  return { size: expression.programSize(), test: (text) => expression.matcher(text).find() };
}
