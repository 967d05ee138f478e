import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { escapeLabel, toMermaid } from '../../src/dsl/graph/mermaid';
import type { JsonObject } from '../../src/dsl/json';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { type ValidFlow, validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';

const EXAMPLES = join(__dirname, '..', '..', 'examples');

/** The part of Mermaid's flowchart grammar that we write: one statement a line, labels always quoted. */
const LABEL = String.raw`"(?:[\p{L}\p{M}\p{N} .]|#\d+;|<br\/>)*"`;
const SHAPES = [
  [String.raw`\(\[`, String.raw`\]\)`],
  [String.raw`\[\[`, String.raw`\]\]`],
  [String.raw`\(\(`, String.raw`\)\)`],
  [String.raw`\{\{`, String.raw`\}\}`],
  [String.raw`\[\/`, String.raw`\/\]`],
  [String.raw`\[`, String.raw`\]`],
  [String.raw`\(`, String.raw`\)`],
  [String.raw`\{`, String.raw`\}`],
  ['>', String.raw`\]`],
].map(([open, close]) => `${open}${LABEL}${close}`);
const NODE = new RegExp(`^ +(n\\d+|begin|finish)(?:${SHAPES.join('|')})$`, 'u');
const GROUP = new RegExp(`^ +subgraph (g\\d+)\\[${LABEL}\\]$`, 'u');
const EDGE = new RegExp(`^ {2}(\\w+) (?:-->|-\\.->)(?:\\|${LABEL}\\|)? (\\w+)$`, 'u');

/** Checks every line, and that edges lead from node to node; returns the nodes and the edges. */
function parseMermaid(text: string): { nodes: string[]; edges: string[] } {
  const [header, comment, ...lines] = text.trimEnd().split('\n');
  expect(header).toBe('flowchart TD');
  expect(comment).toMatch(/^ {2}%% [\w./:+ -]+$/);
  const nodes: string[] = [];
  const edges: [string, string][] = [];
  let depth = 0;
  for (const line of lines) {
    const [, node] = NODE.exec(line) ?? [];
    const [, from, to] = EDGE.exec(line) ?? [];
    if (node !== undefined) nodes.push(node);
    else if (from !== undefined && to !== undefined) edges.push([from, to]);
    else if (GROUP.test(line)) depth += 1;
    else if (/^ +end$/.test(line)) depth -= 1;
    else throw new Error(`not a statement: ${line}`);
    expect(depth).toBeGreaterThanOrEqual(0);
  }
  expect(depth).toBe(0);
  expect(new Set(nodes).size).toBe(nodes.length);
  for (const end of edges.flat()) expect(nodes).toContain(end);
  return { nodes, edges: edges.map((ends) => ends.join(' ')) };
}

function drawn(tasks: string | JsonObject[], title = 'T'): string {
  const document = { dsl: '1.0.3', namespace: 'test', name: 'flow', version: '1.0.0', title };
  const flow = {
    document,
    evaluate: { language: 'cel' },
    do: typeof tasks === 'string' ? (parse(tasks) as JsonObject[]) : tasks,
  };
  const { problems, flow: valid } = validateFlow(flow);
  expect(problems).toEqual([]);
  return toMermaid(planFlow(valid as ValidFlow));
}

/** The ways between steps, by name: `a -> b`, `a -label-> b`, `a ~label~> b` where an error takes it. */
function ways(text: string): string[] {
  parseMermaid(text);
  const names = new Map(
    [...text.matchAll(/^ +(\w+)[^\w\s]+"([^"]*?)(?:<br\/>[^"]*)?"/gmu)].map(([, id, name]) => [id, name]),
  );
  return [...text.matchAll(/^ {2}(\w+) (-->|-\.->)(?:\|"([^"]*)"\|)? (\w+)$/gmu)].map(([, from, arrow, label, to]) => {
    const [line, tip] = arrow === '-->' ? ['-', '->'] : ['~', '~>'];
    return `${names.get(from)} ${label === undefined ? '' : line + label}${label === undefined && arrow === '-->' ? '->' : tip} ${names.get(to)}`;
  });
}

describe('toMermaid', () => {
  const examples = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));

  it('has examples to draw', () => {
    expect(examples).toContain('order-intake.yaml');
  });

  it.each(examples)('draws %s in the grammar of Mermaid, and the same each time', (name) => {
    const { flow } = validateFlowText(readFileSync(join(EXAMPLES, name), 'utf8'));
    const text = toMermaid(planFlow(flow as ValidFlow));
    expect(parseMermaid(text).nodes.length).toBeGreaterThan(2);
    expect(toMermaid(planFlow(flow as ValidFlow))).toBe(text);
  });

  it('draws steps in a row, with their block types', () => {
    const text = drawn(`
      - a: { set: { x: 1 } }
      - b: { wait: PT90S }
      - c: { call: human.approval, with: { title: ok? } }
    `);
    expect(ways(text)).toEqual(['T -> a', 'a -> b', 'b -> c', 'c -> end']);
    expect(text).toContain('n1("a<br/>set")');
    expect(text).toContain('n2(["b<br/>wait 1 min 30 s"])');
    expect(text).toContain('n3[/"c<br/>human.approval"/]');
  });

  it('draws the cases of a switch, with else where no case always holds', () => {
    const text = drawn(`
      - s: { switch: [{ large: { when: data.total > 9, then: b } }, { odd: { when: data.odd, then: end } }] }
      - a: { set: { x: 1 }, then: exit }
      - b: { set: { x: 1 } }
    `);
    expect(ways(text)).toEqual([
      'T -> s',
      's -large#58; data.total #62; 9-> b',
      's -odd#58; data.odd-> end',
      's -else-> a',
      'a -> end',
      'b -> end',
    ]);
  });

  it('draws a condition as a decision: a step that is skipped goes on to the next one, whatever its then', () => {
    const text = drawn(`
      - a: { if: data.go, set: { x: 1 }, then: c }
      - b: { set: { x: 1 } }
      - c: { set: { x: 1 } }
    `);
    expect(ways(text)).toEqual([
      'T -> if data.go',
      'if data.go -yes-> a',
      'if data.go -no-> b',
      'a -> c',
      'b -> c',
      'c -> end',
    ]);
  });

  it('draws a loop back to its head', () => {
    const text = drawn(`
      - all:
          for: { each: line, in: data.lines }
          while: data.more
          do: [{ a: { set: { x: 1 }, then: exit } }, { b: { set: { x: 1 } } }]
    `);
    expect(ways(text)).toEqual([
      'T -> line in data.lines',
      'line in data.lines -each-> a',
      'line in data.lines -done-> end',
      'a -> line in data.lines',
      'b -> line in data.lines',
    ]);
  });

  it('draws branches side by side, and the end of the flow out of one', () => {
    const text = drawn(`
      - both:
          fork:
            compete: true
            branches:
              - left: { set: { x: 1 } }
              - right: { do: [{ r: { set: { x: 1 }, then: end } }] }
    `);
    expect(ways(text)).toEqual(['T -> fork', 'fork -> left', 'fork -> r', 'left -> first', 'r -> end', 'first -> end']);
  });

  it('draws the way of an error dotted, to its handler or past the step', () => {
    const text = drawn(`
      - t:
          try: [{ a: { set: { x: 1 } } }]
          catch: { errors: { with: { status: 503 } }, do: [{ h: { set: { x: 1 } } }], then: z }
      - u:
          try: [{ r: { raise: { error: { type: https://example.com/errors/late, status: 400, title: Late } } } }]
          catch: {}
      - z: { set: { x: 1 } }
    `);
    expect(ways(text)).toEqual([
      'T -> try',
      'try -> a',
      'try ~catch status 503~> h',
      'a -> try',
      'h -> z',
      'try -> r',
      'try ~catch~> z',
      'z -> end',
    ]);
    expect(text).toContain('>"r<br/>raise Late"]');
  });

  it.each([
    ['end'],
    ['subgraph x'],
    ['a"b'],
    ['`code`'],
    ['[x](y){z}'],
    ['%%{init: {}}%%'],
    ['<script>alert(1)</script>'],
    ['a --> b'],
    ['style a:b#quot;'],
    ['1. first'],
    ['- item'],
    ['https://www.example.com'],
    ['Größe 漢字 🎉 \\n'],
    [';'],
  ])('draws a step called %j', (name) => {
    const text = drawn([{ [name]: { set: { x: 1 } } }], name);
    expect(parseMermaid(text).nodes).toEqual(['begin', 'n1', 'finish']);
    expect(unescapeLabel(/^ {2}n1\("(.*)<br\/>set"\)$/m.exec(text)?.[1] ?? '')).toBe(name);
  });

  it('shortens long labels without cutting a character in two', () => {
    const [label = ''] = /n1\("(.*?)<br/.exec(drawn([{ ['🎉'.repeat(62)]: { set: { x: 1 } } }]))?.slice(1) ?? [];
    expect(unescapeLabel(label)).toBe(`${'🎉'.repeat(59)}…`);
  });
});

describe('escapeLabel', () => {
  it.each([
    ['http.request', 'http.request'],
    ['1. first', '1#46; first'],
    ['www.example.com', 'www#46;example#46;com'],
    ['"', '#34;'],
    ['#34;', '#35;34#59;'],
  ])('writes %j as %s', (text, escaped) => {
    expect(escapeLabel(text)).toBe(escaped);
  });
});

/** What Mermaid shows for a label. */
function unescapeLabel(label: string): string {
  return label.replace(/#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}
