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
const NODE = new RegExp(`^ +(n\\d+|begin|finish|legend)(?:${SHAPES.join('|')})$`, 'u');
const GROUP = new RegExp(`^ +subgraph (g\\d+)\\[${LABEL}\\]$`, 'u');
const EDGE = new RegExp(`^ {2}(\\w+) (?:-->|-\\.->)(?:\\|${LABEL}\\|)? (\\w+)$`, 'u');
const COMMENT = /^ {2}%% [\p{L}\p{M}\p{N}_./:+~@,=# -]+$/u;
const CLASS_DEFINITION = /^ {2}classDef ([a-zA-Z]+) (?:[a-z-]+:[#\w ]+)(?:,[a-z-]+:[#\w ]+)*$/;
const CLASS = /^ {2}class (\w+(?:,\w+)*) ([a-zA-Z]+)$/;

export interface ParsedMermaid {
  readonly nodes: string[];
  readonly edges: string[];
  /** Class of a node or group, by id. */
  readonly classes: ReadonlyMap<string, string>;
}

/** Checks every line, that edges lead from node to node, and that classes are defined and are given to what there is. */
export function parseMermaid(text: string): ParsedMermaid {
  const [header, comment, ...lines] = text.trimEnd().split('\n');
  expect(header).toBe('flowchart TD');
  expect(comment).toMatch(COMMENT);
  const nodes: string[] = [];
  const groups: string[] = [];
  const edges: [string, string][] = [];
  const defined = new Set<string>();
  const classes = new Map<string, string>();
  let depth = 0;
  for (const line of lines) {
    const [, node] = NODE.exec(line) ?? [];
    const [, group] = GROUP.exec(line) ?? [];
    const [, from, to] = EDGE.exec(line) ?? [];
    const [, definition] = CLASS_DEFINITION.exec(line) ?? [];
    const [, members, name] = CLASS.exec(line) ?? [];
    if (node !== undefined) nodes.push(node);
    else if (from !== undefined && to !== undefined) edges.push([from, to]);
    else if (definition !== undefined) defined.add(definition);
    else if (members !== undefined && name !== undefined) {
      expect(defined).toContain(name);
      for (const id of members.split(',')) classes.set(id, name);
    } else if (group !== undefined) {
      groups.push(group);
      depth += 1;
    } else if (/^ +end$/.test(line)) depth -= 1;
    else if (!COMMENT.test(line)) throw new Error(`not a statement: ${line}`);
    expect(depth).toBeGreaterThanOrEqual(0);
  }
  expect(depth).toBe(0);
  expect(new Set([...nodes, ...groups]).size).toBe(nodes.length + groups.length);
  for (const end of edges.flat()) expect(nodes).toContain(end);
  for (const id of classes.keys()) expect([...nodes, ...groups]).toContain(id);
  return { nodes, edges: edges.map((ends) => ends.join(' ')), classes };
}

/** The ways between steps, by name: `a -> b`, `a -label-> b`, `a ~label~> b` where an error takes it. */
export function ways(text: string): string[] {
  parseMermaid(text);
  const names = new Map(
    [...text.matchAll(/^ +(\w+)[^\w\s]+"([^"]*?)(?:<br\/>[^"]*)?"/gmu)].map(([, id, name]) => [id, name]),
  );
  return [...text.matchAll(/^ {2}(\w+) (-->|-\.->)(?:\|"([^"]*)"\|)? (\w+)$/gmu)].map(([, from, arrow, label, to]) => {
    const [line, tip] = arrow === '-->' ? ['-', '->'] : ['~', '~>'];
    return `${names.get(from)} ${label === undefined ? '' : line + label}${label === undefined && arrow === '-->' ? '->' : tip} ${names.get(to)}`;
  });
}

/** What Mermaid shows for a label. */
export function unescapeLabel(label: string): string {
  return label.replace(/#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}
