/** Whose rules of writing SQL apply. */
export type SqlDialect = 'sqlite' | 'postgres';

/**
 * What a piece of SQL text is.
 * `quoted`: a string, quoted identifier or dollar-quoted text, whole; `named`: `:name`; `positional`: `?`;
 * `native`: a driver's own placeholder (`$1`, `?1`, `@name`, `$name`), which no statement may use.
 */
export type SqlTokenKind = 'word' | 'number' | 'quoted' | 'named' | 'positional' | 'native' | 'symbol';

/** A piece of SQL text; whitespace and comments are left out. */
export interface SqlToken {
  readonly kind: SqlTokenKind;
  readonly text: string;
  /** Offset of its first character. */
  readonly start: number;
  /** Offset behind its last character. */
  readonly end: number;
  /** How many parentheses are open around it. */
  readonly depth: number;
}

/** What a rule finds at an offset: where it ends, or -1 where it does not apply. */
type Matcher = (text: string, start: number) => number;
type Rule = readonly [SqlTokenKind | 'skip', Matcher];

/** Both databases take every character beyond ASCII as a letter. */
const LETTER = 'A-Za-z_\\u0080-\\u{10FFFF}';
const WORD = `[${LETTER}][\\w$\\u0080-\\u{10FFFF}]*`;
const NAME = `[${LETTER}][\\w\\u0080-\\u{10FFFF}]*`;

/** Body of an E'…' string: backslash escapes, and a string on a following line continues it. */
const ESCAPED = `'[^'\\\\]*(?:(?:\\\\[^]|'')[^'\\\\]*)*(?:'|$)`;

function pattern(source: string): Matcher {
  const regex = new RegExp(source, 'uy');
  return (text, start) => {
    regex.lastIndex = start;
    return regex.test(text) ? regex.lastIndex : -1;
  };
}

// A block comment, nested as PostgreSQL has it; one that does not end reaches to the end of the text.
function nestedComment(text: string, start: number): number {
  if (!text.startsWith('/*', start)) return -1;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  let open = 0;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    open += mark[0] === '/*' ? 1 : -1;
    if (open === 0) return marks.lastIndex;
  }
  return text.length;
}

const dollarTag = new RegExp(`\\$(?:${NAME})?\\$`, 'uy');

/** `$tag$ … $tag$` of PostgreSQL. */
function dollarQuoted(text: string, start: number): number {
  dollarTag.lastIndex = start;
  const tag = dollarTag.exec(text)?.[0];
  if (tag === undefined) return -1;
  const close = text.indexOf(tag, start + tag.length);
  return close === -1 ? text.length : close + tag.length;
}

// A doubled quote inside a string ('it''s') reads as two strings side by side, which is the same for every purpose here.
const SHARED: readonly Rule[] = [
  ['skip', pattern('[ \\t\\n\\r\\f\\v]+')],
  ['quoted', pattern(`'[^']*(?:'|$)`)],
  ['quoted', pattern('"[^"]*(?:"|$)')],
  ['word', pattern(WORD)],
  ['number', pattern('\\d[\\w.]*')],
  ['symbol', pattern('::')],
  ['named', pattern(`:${NAME}`)],
  ['native', pattern('\\?\\d+')],
  ['positional', pattern('\\?')],
];

const RULES: Readonly<Record<SqlDialect, readonly Rule[]>> = {
  sqlite: [
    ['skip', pattern('--[^\\n]*')],
    ['skip', pattern('/\\*[^]*?(?:\\*/|$)')],
    ['quoted', pattern('`[^`]*(?:`|$)')],
    ['quoted', pattern('\\[[^\\]]*(?:\\]|$)')],
    ['native', pattern(`(?:[@$]${NAME}|:\\d+)`)],
    ...SHARED,
  ],
  postgres: [
    ['skip', pattern('--[^\\n\\r]*')],
    ['skip', nestedComment],
    ['quoted', pattern(`[eE]${ESCAPED}(?:[ \\t\\f]*[\\n\\r]\\s*${ESCAPED})*`)],
    ['quoted', dollarQuoted],
    ['native', pattern('\\$\\d+')],
    ...SHARED,
  ],
};

/**
 * Splits SQL into tokens, far enough to tell placeholders and keywords from what only looks like them.
 * Never fails: text that no rule knows becomes symbols, and what does not end reaches to the end.
 */
export function lexSql(dialect: SqlDialect, text: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  let depth = 0;
  let start = 0;
  while (start < text.length) {
    const [kind, end] = matchAt(RULES[dialect], text, start);
    const piece = text.slice(start, end);
    if (piece === ')') depth -= 1;
    if (kind !== 'skip') tokens.push({ kind, text: piece, start, end, depth });
    if (piece === '(') depth += 1;
    start = end;
  }
  return tokens;
}

function matchAt(rules: readonly Rule[], text: string, start: number): [SqlTokenKind | 'skip', number] {
  for (const [kind, matcher] of rules) {
    const end = matcher(text, start);
    if (end !== -1) return [kind, end];
  }
  return ['symbol', start + 1];
}

/** True for the keyword, in any case. */
export function isKeyword(token: SqlToken | undefined, keyword: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === keyword;
}

/**
 * The first token behind the end of the first statement, if there is one.
 * The semicolons inside of a trigger's body (SQLite) or a `BEGIN ATOMIC` function (PostgreSQL) end nothing.
 */
export function findSecondStatement(dialect: SqlDialect, tokens: readonly SqlToken[]): SqlToken | undefined {
  const hasBody = dialect === 'sqlite' ? isTrigger(tokens) : hasAtomicBody(tokens);
  const endsBody = (index: number): boolean => isKeyword(tokens[index - 1], 'END') && tokens[index - 2]?.text === ';';
  const end = tokens.findIndex(
    (token, index) => token.text === ';' && token.depth <= 0 && (!hasBody || endsBody(index)),
  );
  return end === -1 ? undefined : tokens.slice(end + 1).find((token) => token.text !== ';');
}

function isTrigger(tokens: readonly SqlToken[]): boolean {
  const words = tokens.slice(0, 3).map((token) => token.text.toUpperCase());
  return words[0] === 'CREATE' && (words[1] === 'TRIGGER' || (/^TEMP/.test(words[1] ?? '') && words[2] === 'TRIGGER'));
}

function hasAtomicBody(tokens: readonly SqlToken[]): boolean {
  return tokens.some((token, index) => isKeyword(token, 'BEGIN') && isKeyword(tokens[index + 1], 'ATOMIC'));
}

/** What decides what a statement may be used for. */
export interface StatementVerbs {
  /** The first keyword, e.g. `EXPLAIN`, `WITH`, `INSERT`; upper-case. */
  readonly first: string;
  /** The keyword of what is done, behind EXPLAIN and WITH, e.g. `SELECT`; upper-case. */
  readonly main: string;
}

const MAIN_VERBS = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'MERGE', 'VALUES', 'TABLE']);
const EXPLAIN_WORDS = new Set(['EXPLAIN', 'QUERY', 'PLAN', 'ANALYZE', 'VERBOSE']);

/** The statement's verbs; undefined where the text holds no statement. */
export function statementVerbs(tokens: readonly SqlToken[]): StatementVerbs | undefined {
  const words = tokens.filter((token) => token.kind === 'word');
  const first = words[0]?.text.toUpperCase();
  if (first === undefined) return undefined;
  const rest = first === 'EXPLAIN' ? afterExplain(words) : words;
  const start = rest[0]?.text.toUpperCase() ?? first;
  if (start !== 'WITH') return { first, main: start };
  const base = rest[0]?.depth ?? 0;
  const main = rest.find((word) => word.depth === base && MAIN_VERBS.has(word.text.toUpperCase()));
  return { first, main: main?.text.toUpperCase() ?? start };
}

/** Skips EXPLAIN and its options, also those in parentheses. */
function afterExplain(words: readonly SqlToken[]): readonly SqlToken[] {
  const base = words[0]?.depth ?? 0;
  const index = words.findIndex((word) => word.depth === base && !EXPLAIN_WORDS.has(word.text.toUpperCase()));
  return index === -1 ? [] : words.slice(index);
}
