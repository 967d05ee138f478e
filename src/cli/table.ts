import type { Style } from './output';

const GAP = '  ';

/** Lines of a table: a bold header, columns as wide as their widest cell, in code points. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[], style: Style): string[] {
  const widths = header.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? '')].map(width)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell)))
      .join(GAP)
      .trimEnd();
  return [style.bold(line(header)), ...rows.map(line)];
}

function width(text: string): number {
  return [...text].length;
}
