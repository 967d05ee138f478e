import { parse } from 'yaml';
import type { JsonObject } from '../../src/dsl/json';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
});
afterAll(() => worker.stop());

/** A flow in a language; without one it is in jq. */
function flowIn(language: 'cel' | 'jq' | 'jsonata' | undefined, text: string): JsonObject {
  const evaluate = language === undefined ? '' : `evaluate: { language: ${language} }\n`;
  return parse(
    `document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\n${evaluate}${text}`,
  ) as JsonObject;
}

const ORDER = {
  customer: 'Ada',
  items: [
    { sku: 'a', price: 2, quantity: 3 },
    { sku: 'b', price: 1.5, quantity: 2 },
    { sku: 'c', price: 0, quantity: 1 },
  ],
};

const IN_JQ = `
input: { from: '{ customer, items: [.items[] | select(.price > 0)] }' }
do:
  - lines:
      for: { each: item, in: .items }
      do:
        - line: { set: { sku: '\${ $item.sku }', at: '\${ $index }', amount: '\${ $item.price * $item.quantity }' } }
  - total: { set: '{ total: ([$workflow.input.items[] | .price * .quantity] | add), last: $steps.lines.output }' }
  - decide:
      switch:
        - large: { when: '.total > 100', then: exit }
        - medium: { when: .total > 5, then: store }
        - small: { then: exit }
  - never: { raise: { error: { type: 'https://x.test/never', status: 500 } } }
  - store:
      call: fs.put
      input: { from: '{ path: "orders/\\($workflow.input.customer).json", total }' }
      with: { path: '\${ .path }', content: '\${ {total, from: $task.name} }' }
      export: { as: '{ path: .path }' }
  - read: { call: fs.get, with: { path: '\${ $context.path }', as: json } }
  - missing:
      try: [ { stat: { call: fs.get, with: { path: '\${ "no/" + $steps.read.output.content.from }' } } } ]
      catch: { as: problem, when: '$problem.code == "BLW_FS_NOT_FOUND"', do: [ { note: { set: '{ noted: $problem.status }' } } ] }
output: { as: '{ stored: $steps.read.output.content, last: $steps.total.output.last, noted }' }
`;

const IN_JSONATA = `
input: { from: '{ "customer": customer, "items": items[price > 0] }' }
do:
  - lines:
      for: { each: item, in: items }
      do:
        - line: { set: { sku: '\${ $item.sku }', at: '\${ $index }', amount: '\${ $item.price * $item.quantity }' } }
  - total: { set: '{ "total": $sum($workflow.input.items.(price * quantity)), "last": $steps.lines.output }' }
  - decide:
      switch:
        - large: { when: 'total > 100', then: exit }
        - medium: { when: total > 5, then: store }
        - small: { then: exit }
  - never: { raise: { error: { type: 'https://x.test/never', status: 500 } } }
  - store:
      call: fs.put
      input: { from: '{ "path": "orders/" & $workflow.input.customer & ".json", "total": total }' }
      with: { path: '\${ path }', content: '\${ {"total": total, "from": $task.name} }' }
      export: { as: '{ "path": path }' }
  - read: { call: fs.get, with: { path: '\${ $context.path }', as: json } }
  - missing:
      try: [ { stat: { call: fs.get, with: { path: '\${ "no/" & $steps.read.output.content.from }' } } } ]
      catch: { as: problem, when: '$problem.code = "BLW_FS_NOT_FOUND"', do: [ { note: { set: '{ "noted": $problem.status }' } } ] }
output: { as: '{ "stored": $steps.read.output.content, "last": $steps.total.output.last, "noted": noted }' }
`;

describe.each<['jq' | 'jsonata', string]>([
  ['jq', IN_JQ],
  ['jsonata', IN_JSONATA],
])('a flow in %s', (language, text) => {
  it('passes data on between all kinds of steps', async () => {
    expect(await worker.run(flowIn(language, text), ORDER)).toEqual({
      stored: { total: 9, from: 'store' },
      last: { sku: 'b', at: 1, amount: 3 },
      noted: 404,
    });
  });

  it('fails with the expression that failed, where the step is', async () => {
    const expression = language === 'jq' ? '.a + 1' : 'a + 1';
    expect(await worker.fail(flowIn(language, `do: [{ x: { set: '${expression}' } }]`), { a: 'text' })).toMatchObject({
      code: 'BLW_EXPR_FAILED',
      status: 400,
      instance: '/do/0/x',
      detail: expect.stringContaining(`\${ ${expression} }`),
    });
  });

  it('catches what an expression raises, and goes on', async () => {
    const raise = language === 'jq' ? 'error("no stock")' : '$error("no stock")';
    const flow = `do: [{ x: { try: [{ y: { set: '${raise}' } }], catch: { do: [{ z: { set: { caught: '\${ $error.detail }' } } }] } } }]`;
    expect(await worker.run(flowIn(language, flow))).toEqual({ caught: expect.stringContaining('no stock') });
  });
});

it('takes jq where no language is named', async () => {
  expect(await worker.run(flowIn(undefined, 'do: [{ x: { set: { b: "${ .a }" } } }]'), { a: 1 })).toEqual({ b: 1 });
});

it('refuses jq that does not parse before anything runs', async () => {
  const flow = flowIn('jq', 'do: [{ x: { set: ".a" } }, { y: { set: ".a |" } }, { z: { set: "$nothing" } }]');
  expect(await worker.fail(flow)).toMatchObject({
    code: 'BLW_FLOW_INVALID',
    detail: expect.stringMatching(/2 problem\(s\)[\s\S]*it ends too early[\s\S]*\$nothing is not known here/),
  });
});

/** Each would hold the thread that all flows share for much longer than a second, or the worker's memory. */
const HOSTILE_IN_CEL: readonly string[] = [
  'data.l.all(a, data.l.all(b, data.l.all(c, a + b + c >= 0)))',
  'data.l.map(a, data.l.map(b, data.l.map(c, [a, b, c])))',
  'data.l.all(a, !data.text.contains(data.text.substring(0, 50000) + "b"))',
  'data.l.all(a, size(data.text.split("")) > 0)',
  'data.l.all(a, !data.text.matches("([a-m][a-m]?){500}[n-z]"))',
  'data.l.all(a, data.nested == data.same)',
  'data.l.all(a, data.nested in [data.same, data.same])',
  'data.l.map(a, data.text.upperAscii())',
  'data.l.all(a, data.l.all(b, timestamp("2026-01-01T00:00:00Z").getHours("Europe/Berlin") >= 0))',
  'data.l.all(a, size(data.keys) > 0 && data.keys.exists(k, true))',
];

it('lets ordinary flows by while others have hostile expressions in CEL', async () => {
  const l = Array.from({ length: 2_000 }, (_, n) => n);
  const nested = Array.from({ length: 10_000 }, (_, n) => ({ n, list: [n] }));
  const keys = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n]));
  const input = { l, text: 'a'.repeat(200_000) };
  const inputs = HOSTILE_IN_CEL.map((text) => ({
    ...input,
    ...(text.includes('nested') ? { nested, same: nested } : {}),
    ...(text.includes('keys') ? { keys } : {}),
  }));
  const hostile = HOSTILE_IN_CEL.map((text, index) =>
    worker.fail(flowIn('cel', `do: [{ x: { set: ${JSON.stringify(`\${ ${text} }`)} } }]`), inputs[index]),
  );
  const ordinary = Array.from({ length: 10 }, (_, index) =>
    worker.run(flowIn('cel', 'do: [{ x: { set: "${ data.a }" } }, { y: { set: "${ data + 1 }" } }]'), { a: index }),
  );
  expect(await Promise.all(ordinary)).toEqual(Array.from({ length: 10 }, (_, index) => index + 1));
  for (const error of await Promise.all(hostile)) expect(error).toMatchObject({ code: 'BLW_EXPR_FAILED' });
});

it('evaluates what takes long in CEL all the same, outside of the workflow', async () => {
  const handle = await worker.start(
    flowIn(
      'cel',
      'do: [{ x: { set: { n: "${ size(data.l.filter(a, data.l.exists(b, b == a))) }", two: "${ 1 + 1 }" } } }]',
    ),
    { l: Array.from({ length: 1_500 }, (_, n) => n) },
  );
  expect(await handle.result()).toEqual({ n: 1_500, two: 2 });
  const { events } = await handle.fetchHistory();
  const markers = (events ?? []).filter((event) => event.markerRecordedEventAttributes != null);
  expect(markers).toHaveLength(2);
});

it('ends branches whose expressions are evaluated at the same time, where the first one wins', async () => {
  const branches = Array.from({ length: 4 }, (_, n) => `{ b${n}: { set: '{n: ${n}}' } }`).join(', ');
  const flow = flowIn(
    'jq',
    `do: [{ f: { fork: { compete: true, branches: [${branches}] } } }, { x: { set: '{after: .n}' } }]`,
  );
  const handles = await Promise.all(Array.from({ length: 10 }, () => worker.start(flow, {})));
  for (const handle of handles) {
    expect(await handle.result()).toEqual({ after: expect.any(Number) });
    const { events } = await handle.fetchHistory();
    expect((events ?? []).filter((event) => event.workflowTaskTimedOutEventAttributes != null)).toEqual([]);
  }
});

it('lets ordinary flows by while hostile ones hold all processors', async () => {
  const hostile = Array.from({ length: 10 }, (_, index) =>
    worker.fail(
      index % 2 === 0
        ? flowIn('jq', `do: [{ x: { set: 'def f: f; f + ${index}' } }]`)
        : flowIn('jsonata', `do: [{ x: { set: '($f := function() { $f() }; $f() + ${index})' } }]`),
    ),
  );
  const ordinary = Array.from({ length: 10 }, (_, index) =>
    worker.run(
      flowIn(
        index % 2 === 0 ? 'jq' : 'jsonata',
        'do: [{ x: { set: "$workflow.input.a" } }, { y: { set: "$task.input" } }]',
      ),
      {
        a: index,
      },
    ),
  );
  expect(await Promise.all(ordinary)).toEqual(Array.from({ length: 10 }, (_, index) => index));
  for (const error of await Promise.all(hostile)) {
    expect(error).toMatchObject({
      code: 'BLW_EXPR_FAILED',
      detail: expect.stringContaining('took longer than 1000 ms'),
    });
  }
});
