import { type CST, Scalar, type ScalarTag } from 'yaml';

/** What the library tells of the place where a value is written. */
export type PrintContext = Parameters<NonNullable<ScalarTag['stringify']>>[1];

/** What an author may have said with quotes stays said; which quotes they are does not matter. */
const ESCAPES_OF_QUOTES_ONLY = /^(?:[^\\]|\\["\\/])*$/;

/** What can only be written with escapes. */
const NEEDS_ESCAPES = /[^\P{C}\u200D]|[\u0085\u00A0\u2028\u2029\uFEFF]/u;

/**
 * A scalar as its author wrote it, at the indentation of its new place: numbers in their spelling, texts that go over several
 * lines with their lines. Quotes are single ones where that takes no escapes. Undefined where the library has to write it.
 */
export function printScalar(node: Scalar, ctx: PrintContext): string | undefined {
  const token = node.srcToken as CST.FlowScalar | CST.BlockScalar | undefined;
  if (token?.type === 'block-scalar') return node.type === Scalar.BLOCK_FOLDED ? printFolded(token, ctx) : undefined;
  if (token === undefined || token.source === '') return undefined;
  if (token.source.includes('\n')) return printLines(token.source, ctx);
  return typeof node.value === 'string' ? printQuoted(token.source, node.value) : token.source;
}

function printQuoted(source: string, value: string): string {
  const isSimple = !NEEDS_ESCAPES.test(value);
  if (source.startsWith('"')) {
    const canBeSingle = isSimple && !value.includes("'") && ESCAPES_OF_QUOTES_ONLY.test(source);
    return canBeSingle ? `'${value}'` : source;
  }
  if (source.startsWith("'") && value.includes("'") && isSimple && !/["\\]/.test(value)) return `"${value}"`;
  return source;
}

/** A plain or quoted text over several lines: how far they are indented means nothing. */
function printLines(source: string, { indent, implicitKey }: PrintContext): string | undefined {
  if (implicitKey === true || indent === '') return undefined;
  const [first = '', ...others] = source.split('\n').map((line) => (/\\\s*$/.test(line) ? line : line.trimEnd()));
  return [first, ...others.map((line) => (line.trim() === '' ? '' : `${indent}${line.trimStart()}`))].join('\n');
}

/** A folded block: the library would fold it anew, at a width of its own. */
function printFolded({ props, source: text }: CST.BlockScalar, { indent }: PrintContext): string | undefined {
  const header = props.find(({ type }) => type === 'block-scalar-header') as CST.SourceToken | undefined;
  // Lines that are kept at the end, a given indentation or a comment: rare, and the library knows how.
  if (header === undefined || !/^>-?$/.test(header.source) || indent === '') return undefined;
  if (props.some(({ type }) => type === 'comment')) return undefined;
  const source = text.split('\n');
  const margin = /^ */.exec(source.find((line) => line.trim() !== '') ?? '')?.[0].length ?? 0;
  const lines = source.map((line) => line.slice(margin));
  const body = lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
  return [header.source, ...body.map((line) => (line === '' ? '' : `${indent}${line}`))].join('\n');
}
