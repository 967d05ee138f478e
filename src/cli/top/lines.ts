import type { Style, StyleName } from '../output';

/** A piece of a line, as it is shown. */
export interface Cell {
  readonly text: string;
  readonly style?: StyleName;
}

/** Pieces that follow each other without a gap. */
export type Line = readonly Cell[];

const GAP = 2;

/** Lines of a table with a bold header: columns as wide as their widest cell, to the right but for those of `left`, which are no numbers. */
export function layOut(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  { left = [0] }: { left?: readonly number[] } = {},
): Line[] {
  const widths = header.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column]?.text ?? '')].map(width)),
  );
  const lineOf = (cells: readonly Cell[]): Line =>
    cells.map((cell, column) => {
      const blanks = ' '.repeat(Math.max(0, (widths[column] ?? 0) - width(cell.text)));
      const gap = ' '.repeat(column === 0 ? 0 : GAP);
      // The last column needs nothing behind it.
      if (!left.includes(column)) return { ...cell, text: `${gap}${blanks}${cell.text}` };
      return { ...cell, text: `${gap}${cell.text}${column === header.length - 1 ? '' : blanks}` };
    });
  return [lineOf(header.map((text) => ({ text, style: 'bold' }))), ...rows.map(lineOf)];
}

/** The text of a line, with its styles. */
export function paint(line: Line, style: Style): string {
  return line.map(({ text, style: name }) => (name === undefined ? text : style[name](text))).join('');
}

/** Lines of at most so many characters, divided between words; a word that is longer stays whole. */
export function wrap(text: string, most: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && width(line) + 1 + width(word) <= most) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Cuts a line where the place ends. */
export function cut(line: Line, most: number): Line {
  let left = most;
  return line.flatMap((cell) => {
    const letters = [...cell.text];
    if (left <= 0) return [];
    const text = letters.length <= left ? cell.text : letters.slice(0, left).join('');
    left -= letters.length;
    return [{ ...cell, text }];
  });
}

function width(text: string): number {
  return [...text].length;
}
