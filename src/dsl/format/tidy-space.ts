import { type Document, isCollection, isMap, isNode, isPair, isScalar, visit } from 'yaml';

/** One blank line between the document's own keys, and never two in a row; the library keeps those of comments in their text. */
export function tidySpace(tree: Document.Parsed): void {
  tree.commentBefore = withoutDoubles(tree.commentBefore);
  tree.comment = withoutDoubles(tree.comment);
  visit(tree, {
    Node: (_key, node) => {
      node.commentBefore = withoutDoubles(node.commentBefore);
      node.comment = withoutDoubles(node.comment);
    },
  });
  const root = tree.contents;
  if (!isMap(root) || root.flow === true) return;
  for (const [index, { key, value }] of root.items.entries()) {
    if (isScalar(key)) key.spaceBefore = index > 0;
    endWithoutSpace(value);
  }
}

function withoutDoubles(comment: string | null | undefined): string | null {
  return comment?.replace(/\n{3,}/g, '\n\n').replace(/\n+$/, '\n') ?? null;
}

/** The blank line after a block is that before the next one, and not part of the comment at its end. */
function endWithoutSpace(node: unknown): void {
  if (!isNode(node)) return;
  if (node.comment) node.comment = node.comment.replace(/\n+$/, '');
  else if (isCollection(node)) {
    const last = node.items.at(-1);
    endWithoutSpace(isPair(last) ? (last.value ?? last.key) : last);
  }
}
