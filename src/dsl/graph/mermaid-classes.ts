import type { GraphItem, GraphState } from './graph';

/** Colours of a node. Text stands on a fill of its own, so that it can be read whatever the page's theme. */
interface Look {
  readonly fill?: string;
  readonly text?: string;
  readonly line: string;
  readonly isDashed?: boolean;
}

/**
 * By state; the status is in the label too, so that nothing is told by colour alone. What was not reached keeps the theme's
 * colours and differs by its line.
 */
export const LOOKS: Readonly<Record<GraphState, Look>> = {
  completed: { fill: '#1a7f37', text: '#ffffff', line: '#2da44e' },
  failed: { fill: '#b3261e', text: '#ffffff', line: '#e5534b' },
  running: { fill: '#0b5cad', text: '#ffffff', line: '#3b8eea' },
  waiting: { fill: '#ffd866', text: '#1f1f1f', line: '#b8860b' },
  cancelled: { fill: '#6e40c9', text: '#ffffff', line: '#9a7bd9' },
  skipped: { fill: '#57606a', text: '#ffffff', line: '#8c959f', isDashed: true },
  notReached: { line: '#8c959f', isDashed: true },
  unknown: { line: '#b8860b', isDashed: true },
};

/** Definitions of the classes, for nodes and for the frames of groups, whose title and background are the theme's. */
export function classDefinitions(): string[] {
  return Object.entries(LOOKS).flatMap(([state, { fill, text, line, isDashed = false }]) => {
    const colours = fill === undefined || text === undefined ? [] : [`fill:${fill}`, `color:${text}`];
    const border = [`stroke:${line}`, ...(isDashed ? ['stroke-dasharray:5 4'] : [])];
    return [
      `  classDef ${state} ${[...colours, ...border].join(',')}`,
      `  classDef ${state}Group ${[...border, 'stroke-width:2px'].join(',')}`,
    ];
  });
}

/** A statement for each class that some node or group has. */
export function classLines(items: readonly GraphItem[]): string[] {
  const classes = new Map<string, string[]>();
  const visit = (item: GraphItem): void => {
    if (item.state !== undefined) {
      const name = 'kind' in item ? item.state : `${item.state}Group`;
      const ids = classes.get(name);
      if (ids === undefined) classes.set(name, [item.id]);
      else ids.push(item.id);
    }
    if (!('kind' in item)) for (const inner of item.items) visit(inner);
  };
  for (const item of items) visit(item);
  return [...classes].map(([name, ids]) => `  class ${ids.join(',')} ${name}`);
}
