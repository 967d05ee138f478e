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

/**
 * Definitions and uses of the classes that nodes and the frames of groups have; a group's title and background are the
 * theme's.
 */
export function classLines(items: readonly GraphItem[]): string[] {
  const members = new Map<string, { readonly definition: string; readonly ids: string[] }>();
  const visit = (item: GraphItem): void => {
    if (item.state !== undefined) {
      const isGroup = !('kind' in item);
      const name = isGroup ? `${item.state}Group` : item.state;
      const known = members.get(name);
      if (known === undefined) members.set(name, { definition: styleOf(LOOKS[item.state], isGroup), ids: [item.id] });
      else known.ids.push(item.id);
    }
    if (!('kind' in item)) for (const inner of item.items) visit(inner);
  };
  for (const item of items) visit(item);
  return [
    ...[...members].map(([name, { definition }]) => `  classDef ${name} ${definition}`),
    ...[...members].map(([name, { ids }]) => `  class ${ids.join(',')} ${name}`),
  ];
}

function styleOf({ fill, text, line, isDashed = false }: Look, isGroup: boolean): string {
  const colours = isGroup || fill === undefined || text === undefined ? [] : [`fill:${fill}`, `color:${text}`];
  return [
    ...colours,
    `stroke:${line}`,
    ...(isGroup ? ['stroke-width:2px'] : []),
    ...(isDashed ? ['stroke-dasharray:5 4'] : []),
  ].join(',');
}
