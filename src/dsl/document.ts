import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { DocumentReader, MAX_DOCUMENT_DEPTH } from './document-reader';
import { explainSyntaxError } from './explain-syntax';
import type { Json } from './json';
import { byPosition, type LocatedProblem, MAX_PROBLEMS, type Position } from './problems';

export { MAX_DOCUMENT_DEPTH };

/** Largest document that is read, in characters. Its plan must fit into one entry of a Temporal history (2 MB). */
export const MAX_DOCUMENT_LENGTH = 1_000_000;

/**
 * Most tokens of a document (words, brackets, indentations, line ends). The parser takes about 3 µs for each; a document of
 * ordinary text has one for every 4 characters, a hostile one for every character.
 */
const MAX_DOCUMENT_TOKENS = 250_000;

/** A well-formed document: its value, and where each part of it stands in the text. */
export interface ParsedDocument {
  readonly value: Json;
  /** The text as the library has it, with its comments. */
  readonly tree: Document.Parsed;
  /** Position of the value at a path, or of its key; of the nearest part around it where the path does not exist. */
  locate(path: readonly (string | number)[], part: 'key' | 'value'): Position;
}

/**
 * Reads YAML 1.2 or JSON text (JSON is YAML). All syntax errors are reported at once. An integer of more than 53 bits is one,
 * unless `roundsNumbers` says that it may become the nearest number, as in schemas that others wrote (`maximum: 2^63 - 1`).
 * `partial`: what there is to be checked all the same; of keys that are there twice the first counts.
 * `keepsSource`: the nodes of the tree have their text (`srcToken`).
 */
export function parseDocumentText(
  text: string,
  { roundsNumbers = false, keepsSource = false }: { roundsNumbers?: boolean; keepsSource?: boolean } = {},
): { document: ParsedDocument } | { problems: LocatedProblem[]; partial?: ParsedDocument } {
  if (text.length > MAX_DOCUMENT_LENGTH) {
    return tooLarge(`got ${text.length} characters, expected at most ${MAX_DOCUMENT_LENGTH}`);
  }
  // A byte order mark is no character of the first line.
  const source = text.replace(/^\uFEFF/, '');
  const excess = findExcess(source);
  if (excess !== undefined) return tooLarge(excess);
  const lines = new LineCounter();
  const parsed = parseYaml(source, { lineCounter: lines, keepSourceTokens: keepsSource });
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const errors = [...parsed.errors, ...parsed.warnings.filter(({ code }) => code === 'TAG_RESOLVE_FAILED')];
  const exhausted = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION');
  if (exhausted !== undefined) {
    return tooLarge(`it is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`, position(exhausted.pos[0]));
  }
  if (errors.length > 0) {
    return { problems: syntaxProblems(errors, source, position) };
  }
  const reader = new DocumentReader(position, roundsNumbers);
  const value = reader.read(parsed.contents);
  const document = { value, tree: parsed, locate: locator(parsed.contents, position) };
  if (reader.problems.length === 0) return { document };
  const problems = reader.problems.sort(byPosition);
  return reader.isWhole ? { problems, partial: document } : { problems };
}

function parseYaml(source: string, options: { lineCounter: LineCounter; keepSourceTokens: boolean }): Document.Parsed {
  const { stackTraceLimit } = Error;
  try {
    // A hostile text makes 100,000 errors; taking their stack traces is most of the time that parsing it takes.
    Error.stackTraceLimit = 0;
    return parseDocument(source, {
      ...options,
      prettyErrors: false,
      stringKeys: true,
      // Checked by the reader: the library compares each key with each other one.
      uniqueKeys: false,
      // JSON's values and no others, whatever a %YAML directive says.
      schema: 'core',
      merge: false,
      resolveKnownTags: false,
    });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function tooLarge(reason: string, position: Position = { line: 1, column: 1 }): { problems: LocatedProblem[] } {
  return {
    problems: [{ code: 'BLW_DOC_TOO_LARGE', path: [], message: `the document is too large: ${reason}`, position }],
  };
}

/** The first of each line: what the library says of the rest of it follows from that one. */
function syntaxProblems(
  errors: readonly YAMLError[],
  source: string,
  position: (offset: number) => Position,
): LocatedProblem[] {
  const problems = new Map<number, LocatedProblem>();
  for (const error of errors) {
    const at = position(error.pos[0]);
    const known = problems.get(at.line);
    if (known !== undefined && known.position.column <= at.column) continue;
    const message = explainSyntaxError(error, source);
    problems.set(at.line, { code: 'BLW_DOC_SYNTAX', path: [], message, position: at });
    if (problems.size === MAX_PROBLEMS) break;
  }
  return [...problems.values()].sort(byPosition);
}

/** What the text has too much of, by its tokens alone: cheap, and before the recursive parser runs. */
function findExcess(source: string): string | undefined {
  let tokens = 0;
  let depth = 0;
  let isScalarText = false;
  for (const token of new Lexer().lex(source)) {
    tokens += 1;
    if (tokens > MAX_DOCUMENT_TOKENS) return `it has more than ${MAX_DOCUMENT_TOKENS} words, brackets and line ends`;
    if (isScalarText) isScalarText = false;
    else if (token === SCALAR_FOLLOWS) isScalarText = true;
    else if (token === '[' || token === '{') depth += 1;
    else if (token === ']' || token === '}') depth = Math.max(0, depth - 1);
    if (depth > MAX_DOCUMENT_DEPTH) return `brackets are nested deeper than ${MAX_DOCUMENT_DEPTH} levels`;
  }
  return undefined;
}

/** The comments of a well-formed text, in their order, without the space at their ends. */
export function commentsIn(text: string): string[] {
  const comments: string[] = [];
  let isScalarText = false;
  for (const token of new Lexer().lex(text)) {
    if (!isScalarText && token.startsWith('#')) comments.push(token.trimEnd());
    isScalarText = !isScalarText && token === SCALAR_FOLLOWS;
  }
  return comments;
}

/** The lexer's mark before the text of a plain or a block scalar. */
const SCALAR_FOLLOWS = '\u001f';

function locator(root: Node | null, position: (offset: number) => Position): ParsedDocument['locate'] {
  const pairs = new WeakMap<YAMLMap, Map<string, Pair>>();
  const pairsOf = (map: YAMLMap): Map<string, Pair> => {
    const known = pairs.get(map) ?? firstPairs(map);
    pairs.set(map, known);
    return known;
  };
  const findPart = (node: unknown, segment: string | number): { key: unknown; value: unknown } | undefined => {
    if (isMap(node)) return pairsOf(node).get(String(segment));
    const value = isSeq(node) ? node.items[Number(segment)] : undefined;
    return value === undefined ? undefined : { key: value, value };
  };
  return (path, part) => {
    let node: unknown = root;
    let offset = startOf(root) ?? 0;
    for (const [depth, segment] of path.entries()) {
      const found = findPart(node, segment);
      if (found === undefined) break;
      const wantsKey = part === 'key' && depth === path.length - 1;
      const [first, second] = wantsKey ? [found.key, found.value] : [found.value, found.key];
      offset = startOf(first) ?? startOf(second) ?? offset;
      node = found.value;
    }
    return position(offset);
  };
}

/** Of those with the same key the first, as the reader has it. */
function firstPairs({ items }: YAMLMap): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const pair of items) {
    const key = keyText(pair);
    if (!pairs.has(key)) pairs.set(key, pair);
  }
  return pairs;
}

function keyText({ key }: Pair): string {
  return isScalar(key) ? String(key.value ?? '') : String(key);
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
