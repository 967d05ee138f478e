import type { FlowPlan } from '../planning/plan';
import { drawFlow } from './flow-graph';
import type { FlowGraph, GraphEdge, GraphGroup, GraphItem, NodeKind } from './graph';
import { classLines } from './mermaid-classes';
import { drawRun, type ObservedRun } from './run-graph';

/** Longest line of a label, in characters. */
const MAX_LINE_LENGTH = 60;

/** Brackets around a node's label (Mermaid, "Flowcharts", node shapes). */
const SHAPES: Readonly<Record<NodeKind, readonly [string, string]>> = {
  begin: ['([', '])'],
  finish: ['([', '])'],
  call: ['[', ']'],
  human: ['[/', '/]'],
  set: ['(', ')'],
  wait: ['([', '])'],
  emit: ['>', ']'],
  listen: ['{{', '}}'],
  raise: ['>', ']'],
  decision: ['{', '}'],
  loop: ['{{', '}}'],
  fork: ['[[', ']]'],
  join: ['((', '))'],
  try: ['[[', ']]'],
  legend: ['[', ']'],
};

/** Renders a flow as a Mermaid flowchart, ending with a line break. */
export function toMermaid(plan: FlowPlan): string {
  return renderMermaid(drawFlow(plan));
}

/** The same with how far a run is: status, attempts, durations and error codes in words, and colours. */
export function runToMermaid(plan: FlowPlan, run: ObservedRun): string {
  return renderMermaid(drawRun(plan, run));
}

/** Nodes and groups first, edges after them: an edge inside of a group would draw its ends into it. */
export function renderMermaid({ title, items, edges, comments = [] }: FlowGraph): string {
  const lines = [
    'flowchart TD',
    ...[title, ...comments].map((comment) => `  %% ${plainComment(comment)}`),
    ...items.flatMap((item) => renderItem(item, '  ')),
    ...edges.map(renderEdge),
    ...classLines(items),
  ];
  return `${lines.join('\n')}\n`;
}

function renderItem(item: GraphItem, indent: string): string[] {
  if ('kind' in item) {
    const [open, close] = SHAPES[item.kind];
    return [`${indent}${item.id}${open}${quoted(item.lines)}${close}`];
  }
  const inner = item.items.flatMap((entry) => renderItem(entry, `${indent}  `));
  return [`${indent}subgraph ${item.id}[${groupLabel(item)}]`, ...inner, `${indent}end`];
}

/** On one line: Mermaid reserves the height of one for a group's title. */
function groupLabel({ title, status }: GraphGroup): string {
  return `"${[title, ...(status === undefined ? [] : [status])].map((part) => escapeLabel(shorten(part))).join(' #8211; ')}"`;
}

function renderEdge({ from, to, label, isDotted = false }: GraphEdge): string {
  const text = label === undefined ? '' : `|${quoted([label])}|`;
  return `  ${from} ${isDotted ? '-.->' : '-->'}${text} ${to}`;
}

function quoted(lines: readonly string[]): string {
  return `"${lines.map((line) => escapeLabel(shorten(line))).join('<br/>')}"`;
}

/**
 * Text that means nothing to Mermaid: everything but letters, digits and spaces becomes a numeric entity (`#34;`), so that no
 * quote ends the label, and nothing in it is taken for Markdown, HTML, a directive or an entity of its own. A dot between
 * letters stays, since block types have one.
 */
export function escapeLabel(text: string): string {
  return text.replace(/[^\p{L}\p{M}\p{N} ]/gu, (character, at: number) => {
    const isInnerDot = character === '.' && /^\p{Ll}\.\p{Ll}$/u.test(text.slice(Math.max(0, at - 1), at + 2));
    return isInnerDot && !/^www\b/i.test(text) ? character : `#${character.codePointAt(0)};`;
  });
}

/** On one line, with which a comment ends, and without braces, which make a directive of it. */
function plainComment(text: string): string {
  return text.replace(/[^\p{L}\p{M}\p{N}_./:+~@,=# -]/gu, '');
}

function shorten(text: string): string {
  const characters = [...text.replace(/\s+/g, ' ').trim()];
  return characters.length > MAX_LINE_LENGTH
    ? `${characters.slice(0, MAX_LINE_LENGTH - 1).join('')}…`
    : characters.join('');
}
