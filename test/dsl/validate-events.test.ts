import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { toMermaid } from '../../src/dsl/graph/mermaid';
import type { JsonObject } from '../../src/dsl/json';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { toJsonPointer } from '../../src/dsl/problems';
import { validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, flowText, validFlow } from './marked-flow';

const REJECTS = 'rejects %s with %s';

describe('emit', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | emit: got a string, expected an object | «order.placed',
      'BLW_KEY_MISSING | emit: event needs "with" | { «event: {} }',
      "BLW_VALUE_INVALID | {a b} in a URI: expected the name of a property | { event: { with: { type: a, source: «'https://x.test/{a b}' } } }",
      'BLW_KEY_UNKNOWN | "type" is not known in emit: event; it has: with | { event: { with: { type: a }, «type: a } }',
      'BLW_KEY_MISSING | with needs "type" | { event: { «with: { source: /a } } }',
      'BLW_VALUE_INVALID | type: got an object, expected text | { event: { with: { type: «{ a: 1 } } } }',
      'BLW_VALUE_INVALID | subject: got null | { event: { with: { type: a, subject: «null } } }',
      'BLW_VALUE_INVALID | time: got "tomorrow", expected RFC 3339 | { event: { with: { type: a, time: «tomorrow } } }',
      "BLW_VALUE_INVALID | specversion: got \"0.3\", expected '1.0' | { event: { with: { type: a, specversion: «'0.3' } } }",
      'BLW_KEY_UNKNOWN | "orderId" cannot be an attribute of an event: CloudEvents allows lower-case letters and digits | { event: { with: { type: a, «orderId: 1 } } }',
      'BLW_EXPR_SYNTAX | nobody | { event: { with: { type: a, data: { b: [«"${ nobody }"] } } } }',
    ]),
  )(REJECTS, (text, code, message) => {
    expectProblem(flowText(`- a: { emit: ${text} }`), code, message);
  });

  it('rejects one without an event', () => {
    expectProblem(flowText('- a: { «emit: {} }'), 'BLW_KEY_MISSING', 'emit needs "event"');
  });
});

describe('listen', () => {
  it.each(
    badRows([
      'BLW_KEY_MISSING | listen needs "to" | «listen: {}',
      'BLW_VALUE_INVALID | listen: read: got "text", expected one of data, envelope, raw | listen: { to: { any: [] }, read: «text }',
      'BLW_KEY_UNKNOWN | "foreach" is not known in listen; write it beside listen: { listen: { to: … }, foreach: … } | listen: { to: { any: [] }, «foreach: {} }',
      'BLW_KEY_UNKNOWN | "timeout" is not known in listen; write it beside listen | listen: { to: { any: [] }, «timeout: PT1S }',
      'BLW_KEY_UNKNOWN | "until" is not known in listen; write it beside any | listen: { to: { any: [] }, «until: data }',
      'BLW_VALUE_INVALID | to: got none of one, any and all, expected exactly one | listen: { to: «{} }',
      'BLW_VALUE_INVALID | to: got one and any of one, any and all | listen: { to: «{ one: { with: { type: a } }, any: [] } }',
      'BLW_KEY_UNKNOWN | did you mean "any"? | listen: { to: { any: [], «anny: [] } }',
      'BLW_VALUE_INVALID | all: the list is empty | listen: { to: { all: «[] } }',
      'BLW_VALUE_INVALID | any: got an object, expected a list of filters | listen: { to: { any: «{ with: { type: a } } } }',
      'BLW_VALUE_INVALID | until: it only goes with any | listen: { to: { one: { with: { type: a } }, «until: data } }',
      'BLW_VALUE_INVALID | until (or a strategy): got a boolean, expected an expression; put it in quotes | listen: { to: { any: [], until: «false } }',
      'BLW_KEY_UNKNOWN | "until" is not known in until | listen: { to: { any: [], until: { any: [], «until: data } } }',
      'BLW_EXPR_SYNTAX | event | listen: { to: { any: [], until: «event.a } }',
      'BLW_KEY_MISSING | event filter needs "with" | listen: { to: { «one: {} } }',
      'BLW_VALUE_INVALID | with: it is empty | listen: { to: { one: { with: «{} } } }',
      'BLW_EXPR_SYNTAX | nobody | listen: { to: { one: { with: { type: a, data: «"${ nobody }" } } } }',
      'BLW_KEY_MISSING | correlate: a needs "from" | listen: { to: { one: { with: { type: a }, correlate: { «a: {} } } } }',
      'BLW_KEY_UNKNOWN | did you mean "expect"? | listen: { to: { one: { with: { type: a }, correlate: { a: { from: data, «expects: 1 } } } } }',
      'BLW_VALUE_INVALID | expect: got a number, expected text; put it in quotes | listen: { to: { one: { with: { type: a }, correlate: { a: { from: data, expect: «1 } } } } }',
      'BLW_KEY_UNKNOWN | "each" is not known in foreach | listen: { to: { any: [] } }, foreach: { «each: a }',
      'BLW_VALUE_INVALID | the event and its index are both called "a" | listen: { to: { any: [] } }, foreach: { item: a, at: «a }',
      'BLW_VALUE_INVALID | foreach: item: "output" is an argument of every expression | listen: { to: { any: [] } }, foreach: { item: «output }',
      'BLW_EXPR_SYNTAX | item | listen: { to: { any: [], until: «item.a } }, foreach: { output: { as: item } }',
      'BLW_KEY_UNKNOWN | "foreach" is not known in a wait task | wait: PT1S, «foreach: {}',
    ]),
  )(REJECTS, (text, code, message) => {
    expectProblem(flowText(`- a: { ${text} }`), code, message);
  });
});

describe("the specification's examples with events", () => {
  const folder = join(__dirname, '../../../shared/ows/examples');
  const files = (existsSync(folder) ? readdirSync(folder) : []).filter((file) =>
    /^(emit|listen|accumulate)/.test(file),
  );

  (files.length === 0 ? it.skip : it)('are valid, but for the language of their expressions and their calls', () => {
    expect(files.length).toBeGreaterThanOrEqual(10);
    for (const file of files) {
      const { problems } = validateFlowText(readFileSync(join(folder, file), 'utf8'));
      const paths = problems
        .filter(({ code }) => code !== 'BLW_EXPR_LANGUAGE')
        .map(({ path, code }) => `${file} ${toJsonPointer(path)} ${code}`);
      expect(paths.filter((path) => /\/(emit|listen|foreach)(\/|$)/.test(path) && !path.includes('/call'))).toEqual([]);
    }
  });
});

it('plans what is literal apart from what is evaluated for each event', () => {
  const flow = validFlow(
    flowText(
      `- a:
    listen:
      to:
        any:
          - with: { type: t, from: x, data: '\${ data.a > steps.b.output }' }
            correlate: { k: { from: '\${ data.id }', expect: constant } }
        until: '\${ data.size() > 2 }'`.replace('steps.b.output', '1'),
    ),
  );
  expect(planFlow(flow).tasks).toEqual([
    {
      name: 'a',
      path: '/do/0/a',
      kind: 'listen',
      read: 'data',
      to: {
        kind: 'any',
        filters: [
          {
            literal: { type: 't', from: 'x' },
            computed: [{ attribute: 'data', value: { expr: 'data.a > 1' } }],
            correlate: [{ key: 'k', from: { expr: 'data.id' }, expect: { value: 'constant' } }],
          },
        ],
        until: { expr: 'data.size() > 2' },
      },
    },
  ]);
});

it('knows the steps that filters, conditions and iterators read', () => {
  const steps = ['b', 'c', 'd', 'e', 'f'];
  const before = steps.map((name) => `- ${name}: { set: { a: 1 } }`).join('\n');
  const listen = `- a:
    listen:
      to:
        any: [{ with: { type: '\${ steps.b.output }' }, correlate: { k: { from: steps.c.output, expect: '\${ steps.d.output }' } } }]
        until: steps.e.output
    foreach: { output: { as: steps.f.output } }`;
  expect(planFlow(validFlow(flowText(`${before}\n${listen}`))).stepOutputs).toEqual(steps);
});

it('draws events, and the list of a listen as a loop', () => {
  const flow = flowText(
    `- tell: { emit: { event: { with: { type: a.b } } } }
- hear: { listen: { to: { all: [{ with: { type: a } }, { with: { type: b } }] } } }
- each: { listen: { to: { one: { with: { type: c } } } }, foreach: { do: [{ keep: { wait: PT1S } }] } }`,
  );
  const { flow: valid } = validateFlow(parse(flow) as JsonObject);
  if (valid === undefined) throw new Error('not valid');
  const text = toMermaid(planFlow(valid));
  expect(text).toContain('"tell<br/>emit a.b"');
  expect(text).toContain('"hear<br/>listen to all of 2"');
  expect(text).toMatch(/subgraph g\d+\["listen each"\]/);
  expect(text).toMatch(/n3 -->\|"each item"\| n4[\s\S]*n3 -->\|"done"\| finish[\s\S]*n4 --> n3/);
});
