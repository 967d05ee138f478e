import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from 'yaml';
import type { Json } from './json';
import type { Position, Problem } from './problems';

/** Largest document that is read, in characters. Its plan must fit into one entry of a Temporal history (2 MB). */
export const MAX_DOCUMENT_LENGTH = 1_000_000;

/** Deepest nesting of a document that is read. */
export const MAX_DOCUMENT_DEPTH = 200;

/** A well-formed document: its value, and where each part of it stands in the text. */
export interface ParsedDocument {
  readonly value: Json;
  /** Position of the value at a path, or of its key; of the nearest part around it where the path does not exist. */
  locate(path: readonly (string | number)[], part: 'key' | 'value'): Position;
}

/** Reads YAML 1.2 or JSON text (JSON is YAML). All syntax errors are reported at once. */
export function parseDocumentText(text: string): { document: ParsedDocument } | { problems: Problem[] } {
  if (text.length > MAX_DOCUMENT_LENGTH) {
    return tooLarge(`got ${text.length} characters, expected at most ${MAX_DOCUMENT_LENGTH}`);
  }
  if (nestingDepth(text) > MAX_DOCUMENT_DEPTH) {
    return tooLarge(`brackets are nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
  }
  const lines = new LineCounter();
  let parsed: Document.Parsed;
  try {
    parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, stringKeys: true });
  } catch (error) {
    // The parser recurses: a deeply nested text exhausts the stack before it is done.
    if (error instanceof RangeError) return tooLarge(`nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
    throw error;
  }
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (parsed.errors.length > 0) return { problems: parsed.errors.map((error) => syntaxProblem(error, position)) };
  return readValue(parsed, position);
}

function readValue(
  parsed: Document.Parsed,
  position: (offset: number) => Position,
): { document: ParsedDocument } | { problems: Problem[] } {
  try {
    const value = parsed.toJS({ maxAliasCount: 100 }) as Json;
    return {
      document: { value: value ?? null, locate: (path, part) => position(offsetOf(parsed.contents, path, part)) },
    };
  } catch (error) {
    if (error instanceof RangeError) return tooLarge(`nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
    if (error instanceof ReferenceError) return tooLarge('aliases expand to too much; write the parts out');
    throw error;
  }
}

function tooLarge(message: string): { problems: Problem[] } {
  return { problems: [{ code: 'BLW_DOC_TOO_LARGE', path: [], message, position: { line: 1, column: 1 } }] };
}

function syntaxProblem(error: YAMLError, position: (offset: number) => Position): Problem {
  return {
    code: 'BLW_DOC_SYNTAX',
    path: [],
    message:
      error.code === 'DUPLICATE_KEY' ? 'this key is there already; keys of one object must differ' : error.message,
    position: position(error.pos[0]),
  };
}

/** Depth of flow collections ([ and {) by a scan of the characters: cheap, and before the recursive parser runs. */
function nestingDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x5d || char === 0x7d) depth = Math.max(0, depth - 1);
  }
  return deepest;
}

function offsetOf(root: Node | null, path: readonly (string | number)[], part: 'key' | 'value'): number {
  let node: unknown = root;
  let offset = startOf(root) ?? 0;
  for (const [depth, segment] of path.entries()) {
    const pair = findPair(node, segment);
    if (pair === undefined) break;
    const isLast = depth === path.length - 1;
    const keyOffset = startOf(pair.key);
    const valueOffset = startOf(pair.value);
    offset = (isLast && part === 'key' ? (keyOffset ?? valueOffset) : (valueOffset ?? keyOffset)) ?? offset;
    node = pair.value;
  }
  return offset;
}

function findPair(node: unknown, segment: string | number): { key: unknown; value: unknown } | undefined {
  if (isMap(node)) return node.items.find((item) => keyText(item) === String(segment));
  if (isSeq(node)) {
    const value = node.items[Number(segment)];
    return value === undefined ? undefined : { key: value, value };
  }
  return undefined;
}

function keyText(pair: Pair): string {
  return isPair(pair) && isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
