/** A node of the expression library's syntax tree, as far as it is read here. */
export interface AstNode {
  readonly op: string;
  readonly args: unknown;
  readonly pos?: number;
}

/** Visits a node, and those below it where the visitor says so. The depth of a tree is limited by the parser. */
export function visitNodes(node: unknown, visit: (node: AstNode) => boolean): void {
  if (Array.isArray(node)) for (const item of node) visitNodes(item, visit);
  if (isAstNode(node) && visit(node)) visitNodes(node.args, visit);
}

export function isAstNode(node: unknown): node is AstNode {
  return typeof node === 'object' && node !== null && typeof (node as { op?: unknown }).op === 'string';
}
