import {
  type CollectionTag,
  type Document,
  isMap,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type ScalarTag,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { type PrintContext, printScalar } from './print-text';
import { tidySpace } from './tidy-space';

/** Widest `{ … }` and `[ … ]` on one line. */
const LINE_WIDTH = 120;

/** A document as YAML text, in this project's form. */
export function printYaml(tree: Document.Parsed): string {
  tidySpace(tree);
  useOwnPrinters(tree);
  return tree.toString({
    indent: 2,
    indentSeq: true,
    lineWidth: LINE_WIDTH,
    singleQuote: true,
    // Found by comparing what was read with what is written.
    verifyAliasOrder: false,
  });
}

/** The library asks the tags of a schema how their values are written; of collections, though its types do not say so. */
function useOwnPrinters({ schema }: Document.Parsed): void {
  schema.tags = schema.tags.map((tag) => {
    if (tag.collection === 'map') return { ...tag, stringify: printCollection(' ') } as unknown as CollectionTag;
    if (tag.collection === 'seq') return { ...tag, stringify: printCollection('') } as unknown as CollectionTag;
    const { stringify } = tag as ScalarTag;
    const print: ScalarTag['stringify'] = (item, ctx, onComment, onChompKeep) =>
      printScalar(item, ctx) ?? stringify?.(item, ctx, onComment, onChompKeep) ?? String(item.value);
    return { ...(tag as ScalarTag), stringify: print };
  });
}

/** `{ a: 1 }`, but `[1, 2]`. */
function printCollection(flowCollectionPadding: string) {
  return (item: Scalar, ctx: PrintContext, onComment?: () => void, onChompKeep?: () => void): string =>
    (item as unknown as YAMLMap | YAMLSeq).toString({ ...ctx, flowCollectionPadding }, onComment, onChompKeep);
}

/** A document that was JSON as JSON text: one value a line, spelled as it was. */
export function printJson(tree: Document.Parsed): string {
  return `${jsonOf(tree.contents, '')}\n`;
}

function jsonOf(node: unknown, indent: string): string {
  const inner = `${indent}  `;
  const block = ([open, close]: string, parts: string[]): string =>
    parts.length === 0
      ? `${open}${close}`
      : `${open}\n${parts.map((part) => `${inner}${part}`).join(',\n')}\n${indent}${close}`;
  if (isMap(node)) {
    const items = node.items as Pair<Scalar, Node>[];
    return block(
      '{}',
      items.map(({ key, value }) => `${jsonOf(key, inner)}: ${jsonOf(value, inner)}`),
    );
  }
  if (isSeq(node))
    return block(
      '[]',
      node.items.map((item) => jsonOf(item, inner)),
    );
  return (node as Scalar.Parsed).srcToken === undefined ? 'null' : sourceOf(node as Scalar.Parsed);
}

function sourceOf({ srcToken }: Scalar.Parsed): string {
  return (srcToken as { source: string }).source;
}
