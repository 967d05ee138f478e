import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { FLOW_TEST_FILE } from '../../src/dsl/flow-test/flow-test';
import { escapeLabel, toMermaid } from '../../src/dsl/graph/mermaid';
import type { JsonObject } from '../../src/dsl/json';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { type ValidFlow, validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';
import { parseMermaid, unescapeLabel, ways } from './mermaid-grammar';

const EXAMPLES = join(__dirname, '..', '..', 'examples');

function drawn(tasks: string | JsonObject[], title = 'T', more: JsonObject = {}): string {
  const document = { dsl: '1.0.3', namespace: 'test', name: 'flow', version: '1.0.0', title };
  const flow = {
    document,
    evaluate: { language: 'cel' },
    ...more,
    do: typeof tasks === 'string' ? (parse(tasks) as JsonObject[]) : tasks,
  };
  const { problems, flow: valid } = validateFlow(flow);
  expect(problems).toEqual([]);
  return toMermaid(planFlow(valid as ValidFlow));
}

describe('toMermaid', () => {
  const examples = readdirSync(EXAMPLES).filter(
    (name) => name.endsWith('.yaml') && name !== 'policy.yaml' && !FLOW_TEST_FILE.test(name),
  );

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

  it('draws what undoes a step beside it, dotted, and no way out of it', () => {
    const text = drawn(`
      - a: { set: { x: 1 }, metadata: { compensate: [{ u: { set: { x: 1 } } }, { v: { set: { x: 1 }, then: end } }] } }
      - g: { do: [{ b: { set: { x: 1 } } }], metadata: { compensate: [{ w: { set: { x: 1 } } }] } }
    `);
    expect(ways(text)).toEqual(['T -> a', 'a ~undo~> u', 'a -> b', 'u -> v', 'b ~undo~> w', 'b -> end']);
    expect(text).toContain('["undo a"]');
    expect(text).toContain('["undo g"]');
  });

  it('draws what a function does, whose end is not the end of the flow', () => {
    const f = parse('do: [{ b: { set: { x: 1 }, then: end } }, { c: { set: { x: 1 } } }]') as JsonObject;
    const text = drawn('[{ a: { call: f } }, { d: { set: { x: 1 } } }]', 'T', { use: { functions: { f } } });
    expect(ways(text)).toEqual(['T -> b', 'b -> d', 'c -> d', 'd -> end']);
    expect(text).toContain('["call a"]');
  });

  it('draws a flow that a step runs', () => {
    const text = drawn(`
      - a: { run: { workflow: { namespace: shop, name: refund, version: '1.0.0' } } }
      - b: { run: { workflow: { namespace: shop, name: tell, version: '1.0.0' }, await: false } }
    `);
    expect(unescapeLabel(text)).toContain('n1["a<br/>run shop/refund:1.0.0"]');
    expect(unescapeLabel(text)).toContain('n2["b<br/>run shop/tell:1.0.0 (not awaited)"]');
  });

  it('names timeouts, of steps, groups and the flow, and how many iterations run at once', () => {
    const text = drawn(
      `
      - a: { set: { x: 1 }, timeout: { after: PT30S } }
      - g: { for: { in: data.l }, do: [{ b: { set: { x: 1 } } }], timeout: { after: PT1H }, metadata: { concurrency: 4 } }
    `,
      'T',
      { timeout: { after: { days: 1 } } },
    );
    expect(text).toContain('begin(["T<br/>timeout 24 h 0 min"])');
    expect(unescapeLabel(text)).toContain('n1("a<br/>set<br/>timeout 30.0 s")');
    expect(unescapeLabel(text)).toContain('["for g, timeout 1 h 0 min"]');
    expect(text).toContain('n2{{"item in data.l<br/>4 at once"}}');
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
