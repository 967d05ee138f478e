import { type CST, type Document, isCollection, isNode, isPair, type Node, type YAMLMap, type YAMLSeq } from 'yaml';

/** A line of a comment as its author indented it; empty lines between comments have no text. */
interface CommentLine {
  readonly text: string;
  readonly indent: number;
}

/**
 * What stands between the end of a block and the next key, the library takes for the block's as soon as its first line is
 * indented as the block is. This gives the lines that are indented less to what follows.
 */
export function releaseComments(tree: Document.Parsed): void {
  const rest = release(tree.contents, true);
  if (rest.length > 0) tree.comment = join(textOf(rest), tree.comment);
}

/** Lines below a node that belong to something further out; they are taken from it. */
function release(node: unknown, isRoot = false): readonly CommentLine[] {
  if (!isCollection(node)) return [];
  const collection = node as YAMLMap | YAMLSeq;
  let carried: readonly CommentLine[] = [];
  for (const item of collection.items) {
    const { first, last } = isPair(item) ? { first: item.key, last: item.value } : { first: item, last: item };
    if (carried.length > 0 && isNode(first)) putAbove(first, carried);
    carried = release(last);
  }
  const token = collection.srcToken as CST.BlockMap | CST.BlockSequence | undefined;
  if (token?.type !== 'block-map' && token?.type !== 'block-seq') return carried;
  if (isRoot) return carried;
  const own = linesOf(token);
  // Where the library has read something else, its comments stay as they are.
  const lines = own.length > 0 && withoutEnd(collection.comment ?? '') === withoutEnd(textOf(own)) ? own : [];
  const all = [...carried, ...lines];
  const end = all.findIndex(({ text, indent }) => text !== '' && indent < token.indent);
  if (end === -1) {
    if (carried.length > 0) collection.comment = join(textOf(carried), collection.comment);
    return [];
  }
  const kept = withoutEnd(textOf(all.slice(0, end)));
  if (carried.length > 0 || lines.length > 0) collection.comment = kept === '' ? null : kept;
  return all.slice(end);
}

function putAbove(node: Node, lines: readonly CommentLine[]): void {
  node.commentBefore = join(textOf(lines), node.commentBefore);
  node.spaceBefore = true;
}

function linesOf({ items }: CST.BlockMap | CST.BlockSequence): CommentLine[] {
  const last = items.at(-1);
  if (last === undefined || ('key' in last && last.key) || last.value || last.sep) return [];
  const lines: CommentLine[] = [];
  let lineEnds = 0;
  for (const { type, source, indent } of last.start) {
    if (type === 'newline') lineEnds += 1;
    if (type !== 'comment') continue;
    if (lines.length > 0) for (let blank = 1; blank < lineEnds; blank += 1) lines.push({ text: '', indent });
    lines.push({ text: source.slice(1) || ' ', indent });
    lineEnds = 0;
  }
  for (let blank = 1; blank < lineEnds; blank += 1) lines.push({ text: '', indent: 0 });
  return lines;
}

function textOf(lines: readonly CommentLine[]): string {
  return lines.map(({ text }) => text).join('\n');
}

/** Without the empty lines at the end; a comment that is empty is a space. */
function withoutEnd(comment: string): string {
  return comment.replace(/\n+$/, '');
}

function join(above: string, below: string | null | undefined): string {
  return below ? `${above}\n${below}` : above;
}
