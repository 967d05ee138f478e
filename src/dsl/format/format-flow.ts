import { isMap } from 'yaml';
import { commentsIn, type ParsedDocument, parseDocumentText } from '../document';
import { getOwn, isJsonObject, type Json } from '../json';
import type { LocatedProblem } from '../problems';
import { putInOrder } from './canonical-order';
import { printJson, printYaml } from './print-document';
import { releaseComments } from './release-comments';

/** A text in its form, or what keeps it from being read. */
export type FormattedText = { readonly text: string } | { readonly problems: readonly LocatedProblem[] };

/** Texts come to rest at once, or after a comment has found its place: a level further out each time. */
const MAX_ROUNDS = 20;

/** A flow would come out as another one, or without a comment: a defect of this program. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/**
 * Formats a flow's document (YAML or JSON): keys in their order, indentation, quotes and blank lines alike everywhere. What it
 * says, its comments and its anchors stay; a formatted text stays as it is. Whether the flow is valid does not matter. Throws
 * {@link FormatError} rather than give a text that says something else.
 */
export function formatFlowText(text: string): FormattedText {
  const texts = [text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n')];
  for (let before = texts[0] ?? ''; texts.length <= MAX_ROUNDS; before = texts.at(-1) ?? '') {
    const result = formatOnce(before);
    if ('problems' in result) return result;
    const at = texts.indexOf(result.text);
    // Where a comment goes to and fro between two places, any of the forms would do; it is always the same one.
    if (at !== -1) return { text: texts.slice(at).sort()[0] ?? result.text };
    texts.push(result.text);
  }
  throw new FormatError('the document has another form each time that it is formatted');
}

function formatOnce(text: string): FormattedText {
  // In its order an alias may come to stand before its anchor; then the keys stay where they are.
  for (const isOrdered of [true, false]) {
    const parsed = parseDocumentText(text, { keepsSource: true });
    if ('problems' in parsed) return { problems: parsed.problems };
    const printed = print(text, parsed.document, isOrdered);
    const verdict = compare(text, parsed.document.value, printed);
    if (verdict === 'same') return { text: printed };
    if (typeof verdict === 'object') return verdict;
  }
  throw new FormatError('the formatted document would say something else, or lose a comment');
}

function print(text: string, { tree }: ParsedDocument, isOrdered: boolean): string {
  // A lone value is no flow, and has no form.
  if (!isMap(tree.contents)) return text;
  releaseComments(tree);
  if (isOrdered) putInOrder(tree);
  return isJson(text) ? printJson(tree) : printYaml(tree);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Reads what was written again; with more spaces than before it may be too large. */
function compare(text: string, value: Json, printed: string): 'same' | 'different' | { problems: LocatedProblem[] } {
  const parsed = parseDocumentText(printed);
  if ('problems' in parsed) {
    const isTooLarge = parsed.problems.some(({ code }) => code === 'BLW_DOC_TOO_LARGE');
    return isTooLarge ? { problems: parsed.problems } : 'different';
  }
  const hasAllComments = commentsIn(text).sort().join('\n') === commentsIn(printed).sort().join('\n');
  return hasAllComments && isSameValue(value, parsed.document.value) ? 'same' : 'different';
}

/** The order of keys says nothing. */
function isSameValue(left: Json, right: Json): boolean {
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, at) => isSameValue(item, right[at] ?? null))
    );
  }
  if (!isJsonObject(left) || !isJsonObject(right)) return left === right;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isSameValue(getOwn(left, key) ?? null, getOwn(right, key) ?? null))
  );
}
