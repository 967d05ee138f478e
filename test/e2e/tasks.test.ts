import type { Json } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { errorOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

type Case = [name: string, flow: string, input: Json, output: Json];

describe('data flow', () => {
  test.each<Case>([
    [
      'passes the output of a step on as the input of the next',
      'do: [{a: {set: {n: 1}}}, {b: {set: {n: "${ data.n + 1 }"}}}]',
      null,
      { n: 2 },
    ],
    ['gives the last output as the result', 'do: [{a: {set: {x: 1}}}, {b: {set: {y: 2}}}]', null, { y: 2 }],
    [
      'transforms the input of the flow',
      'input: {from: data.order}\ndo: [{a: {set: {id: "${ data.id }", raw: "${ workflow.input.order.id }"}}}]',
      { order: { id: 7 } },
      { id: 7, raw: 7 },
    ],
    [
      'transforms the output of the flow',
      'do: [{a: {set: {x: 1}}}]\noutput: {as: {y: "${ data.x + 1 }"}}',
      null,
      { y: 2 },
    ],
    [
      'transforms the input of a task',
      'do: [{a: {input: {from: "${ data.deep }"}, set: {v: "${ data.v }", i: "${ input.v }", raw: "${ task.input.deep.v }"}}}]',
      { deep: { v: 5 } },
      { v: 5, i: 5, raw: 5 },
    ],
    ['transforms the output of a task', 'do: [{a: {set: {v: 5}, output: {as: data.v}}}]', null, 5],
    [
      'exports to the context',
      'do: [{a: {set: {v: 5}, export: {as: {kept: "${ data.v }"}}}}, {b: {set: {c: "${ context.kept }"}}}]',
      null,
      { c: 5 },
    ],
    ['begins with the input as the context', 'do: [{a: {set: {c: "${ context.x }"}}}]', { x: 1 }, { c: 1 }],
    [
      'reads results of earlier steps',
      'do: [{a: {set: {v: 5}}}, {b: {set: {w: 6}}}, {c: {set: {sum: "${ steps.a.output.v + steps.b.output.w }"}}}]',
      null,
      { sum: 11 },
    ],
    [
      'skips a task and passes its input on',
      'do: [{a: {set: {v: 5}}}, {b: {if: data.v > 5, set: {v: 9}, then: end}}, {c: {set: {v: "${ data.v + 1 }"}}}]',
      null,
      { v: 6 },
    ],
    [
      'puts expressions into text',
      'do: [{a: {set: {t: "n=${ data.n } o=${ data.o } z=${ data.z }"}}}]',
      { n: 1.5, o: { a: 1 }, z: null },
      { t: 'n=1.5 o={"a":1} z=' },
    ],
    [
      'gives the arguments of OWS',
      'do: [{a: {set: {r: "${ runtime.name }", n: "${ task.name }", p: "${ task.reference }", d: "${ workflow.definition.document.name }", t: "${ task.definition.set.r }"}}}]',
      null,
      { r: 'Beamline Worker', n: 'a', p: '/do/0/a', d: 'flow', t: '${ runtime.name }' },
    ],
    [
      'never evaluates what stands in data',
      'do: [{a: {set: {x: "${ data.evil }"}}}]',
      { evil: '${ 1 + 1 }' },
      { x: '${ 1 + 1 }' },
    ],
    ['keeps a null input', 'do: [{a: {set: {isNull: "${ data == null }"}}}]', null, { isNull: true }],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });
});

describe('control flow', () => {
  const GOTO = `
do:
  - start: { set: { trace: [start] }, then: last }
  - middle: { set: { trace: '\${ data.trace + ["middle"] }' }, then: end }
  - last: { set: { trace: '\${ data.trace + ["last"] }' }, then: middle }
`;
  const SWITCH = `
do:
  - choose:
      switch:
        - fallback: { then: other }
        - red: { when: data.color == "red", then: isRed }
        - blue: { when: data.color == "blue", then: isBlue }
  - isRed: { set: { was: red }, then: exit }
  - isBlue: { set: { was: blue }, then: end }
  - other: { set: { was: other } }
`;
  const COUNTER = `
do:
  - count: { set: { n: '\${ data.n + 1 }' } }
  - again: { switch: [{ more: { when: data.n < 5, then: count } }, { enough: { then: exit } }] }
  - never: { set: { n: -1 } }
`;
  test.each<Case>([
    ['follows then', GOTO, null, { trace: ['start', 'last', 'middle'] }],
    ['takes the first case that holds, wherever the default stands', SWITCH, { color: 'red' }, { was: 'red' }],
    ['ends the flow at end', SWITCH, { color: 'blue' }, { was: 'blue' }],
    ['takes the default case', SWITCH, { color: 'green' }, { was: 'other' }],
    [
      'goes on where no case holds',
      'do: [{s: {switch: [{a: {when: "false", then: end}}]}}, {b: {set: {ok: true}}}]',
      null,
      { ok: true },
    ],
    ['goes back to an earlier step', COUNTER, { n: 0 }, { n: 5 }],
    [
      'runs a group inline and keeps its names to itself',
      'do: [{g: {do: [{x: {set: {v: 1}}}, {y: {set: {v: "${ steps.x.output.v + 1 }"}}}]}}, {x: {set: {v: "${ steps.g.output.v + 10 }"}}}]',
      null,
      { v: 12 },
    ],
    [
      'leaves only the group at exit',
      'do: [{g: {do: [{x: {set: {v: 1}, then: exit}}, {y: {set: {v: 2}}}]}}, {z: {set: {v: "${ data.v + 100 }"}}}]',
      null,
      { v: 101 },
    ],
    [
      'ends the flow from inside of a group',
      'do: [{g: {do: [{x: {set: {v: 1}, then: end}}]}}, {z: {set: {v: 2}}}]',
      null,
      { v: 1 },
    ],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });
});

describe('for', () => {
  test.each<Case>([
    [
      'gives each iteration the output of the one before',
      'do: [{l: {for: {each: c, in: data.colors, at: i}, do: [{m: {set: {colors: "${ data.colors }", done: "${ data.?done.orValue([]) + [string(int(i)) + c] }"}}}]}}]',
      { colors: ['red', 'green'] },
      { colors: ['red', 'green'], done: ['0red', '1green'] },
    ],
    [
      'has item and index as default names',
      'do: [{l: {for: {in: "[1, 2]"}, do: [{m: {set: {last: "${ item * 10 + index }"}}}]}}]',
      null,
      { last: 21 },
    ],
    [
      'stops where while no longer holds',
      'do: [{l: {for: {in: "[1, 2, 3, 4]"}, while: item < 3, do: [{m: {set: {n: "${ item }"}}}]}}]',
      null,
      { n: 2 },
    ],
    [
      'passes its input through for no items',
      'do: [{l: {for: {in: "[]"}, do: [{m: {set: {n: 1}}}]}}]',
      { kept: true },
      { kept: true },
    ],
    [
      'goes over a list in the document',
      'do: [{l: {for: {in: [{a: 1}, {a: "${ 1 + 1 }"}]}, do: [{m: {set: {n: "${ item.a }"}}}]}}]',
      null,
      { n: 2 },
    ],
    [
      'nests',
      'do: [{o: {for: {each: a, in: "[1, 2]"}, do: [{i: {for: {each: b, in: "[10, 20]"}, do: [{m: {set: {s: "${ data.?s.orValue([]) + [a * b] }"}}}]}}]}}]',
      {},
      { s: [10, 20, 20, 40] },
    ],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });

  test('refuses what is not a list', async () => {
    const error = await worker.fail('do: [{l: {for: {in: data.x}, do: [{m: {set: {n: 1}}}]}}]', { x: 'text' });
    expect(error).toMatchObject({ code: 'BLW_EXPR_FAILED', instance: '/do/0/l', status: 400 });
    expect(error.detail).toContain('got a string, expected a list');
  });
});

describe('fork', () => {
  test.each<Case>([
    [
      'gives the outputs in the order of the document',
      'do: [{f: {fork: {branches: [{slow: {do: [{w: {wait: {milliseconds: 60}}}, {s: {set: {n: 1}}}]}}, {fast: {set: {n: 2}}}]}}}]',
      null,
      [{ n: 1 }, { n: 2 }],
    ],
    [
      'gives the output of the winner where branches compete',
      'do: [{f: {fork: {compete: true, branches: [{slow: {wait: PT1H}}, {fast: {do: [{w: {wait: {milliseconds: 30}}}, {s: {set: {won: true}}}]}}]}}}]',
      null,
      { won: true },
    ],
    [
      'lets the others compete on where one fails',
      'do: [{f: {fork: {compete: true, branches: [{bad: {raise: {error: {type: "https://x.test/e", status: 500}}}}, {good: {do: [{w: {wait: {milliseconds: 30}}}, {s: {set: {won: true}}}]}}]}}}]',
      null,
      { won: true },
    ],
    [
      'ends the flow from a branch',
      'do: [{f: {fork: {branches: [{slow: {wait: PT1H}}, {ender: {set: {over: true}, then: end}}]}}}, {z: {set: {n: 1}}}]',
      null,
      { over: true },
    ],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });

  test('cancels the other branches where one fails', async () => {
    const handle = await worker.start(
      'do: [{f: {fork: {branches: [{slow: {wait: PT1H}}, {bad: {raise: {error: {type: "https://x.test/e", status: 418}}}}]}}}]',
    );
    expect(await errorOf(handle)).toMatchObject({ status: 418, instance: '/do/0/f/fork/branches/1/bad' });
    const { steps } = await handle.query<FlowProgress>('progress');
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ['f', 'failed'],
      ['slow', 'cancelled'],
      ['bad', 'failed'],
    ]);
  });
});

describe('errors', () => {
  const RAISE = (fields: string) =>
    `do: [{t: {try: [{r: {raise: {error: {${fields}}}}}], catch: {as: e, do: [{h: {set: {caught: "\${ e }"}}}]}}}]`;
  test.each<Case>([
    [
      'are data in a catch',
      RAISE('type: "https://x.test/e", status: 418, title: Teapot, detail: "n=${ data.n }"'),
      { n: 1 },
      {
        caught: { type: 'https://x.test/e', status: 418, title: 'Teapot', detail: 'n=1', instance: '/do/0/t/try/0/r' },
      },
    ],
    [
      'are caught by a standard type under any of its roots',
      'do: [{t: {try: [{r: {raise: {error: {type: "https://open-workflow-specification.org/spec/1.0.0/errors/communication", status: 503}}}}], catch: {errors: {with: {type: "https://serverlessworkflow.io/spec/1.0.0/errors/communication", status: 503}}, do: [{h: {set: {ok: true}}}]}}}]',
      null,
      { ok: true },
    ],
    [
      'pass the input on where the catch does nothing',
      'do: [{t: {try: [{r: {raise: {error: {type: a, status: 500}}}}], catch: {}}}]',
      { kept: 1 },
      { kept: 1 },
    ],
    [
      'go where catch.then points',
      'do: [{t: {try: [{r: {raise: {error: {type: a, status: 500}}}}], catch: {then: b}}}, {a: {set: {at: a}, then: end}}, {b: {set: {at: b}}}]',
      null,
      { at: 'b' },
    ],
    [
      'come from use.errors',
      'use: {errors: {full: {type: a, status: 507, title: "${ data.t }"}}}\ndo: [{t: {try: [{r: {raise: {error: full}}}], catch: {do: [{h: {set: {s: "${ error.status }", t: "${ error.title }"}}}]}}}]',
      { t: 'disk' },
      { s: 507, t: 'disk' },
    ],
    [
      'of expressions are caught',
      'do: [{t: {try: [{r: {set: {x: "${ data.nothing.there }"}}}], catch: {do: [{h: {set: {code: "${ error.code }"}}}]}}}]',
      {},
      { code: 'BLW_EXPR_FAILED' },
    ],
    [
      'are caught only when when holds',
      'do: [{o: {try: [{t: {try: [{r: {raise: {error: {type: a, status: 500}}}}], catch: {when: error.status == 501}}}], catch: {do: [{h: {set: {outer: true}}}]}}}]',
      null,
      { outer: true },
    ],
    [
      'are not caught when exceptWhen holds',
      'do: [{o: {try: [{t: {try: [{r: {raise: {error: {type: a, status: 500}}}}], catch: {exceptWhen: error.status == 500}}}], catch: {do: [{h: {set: {outer: true}}}]}}}]',
      null,
      { outer: true },
    ],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });

  test('fail the flow where nothing catches them, with type, place and code', async () => {
    const handle = await worker.start('do: [{a: {set: {x: "${ data.missing }"}}}]', {});
    const failed = await handle.result().then(
      () => undefined,
      (error: { cause: { type: string; message: string; nonRetryable: boolean } }) => error.cause,
    );
    expect(failed).toMatchObject({ type: 'BLW_EXPR_FAILED', nonRetryable: true });
    expect(failed?.message).toBe('/do/0/a: ${ data.missing } at character 6: No such key: missing [BLW_EXPR_FAILED]');
  });

  const RETRY = (retry: string) => `
do:
  - t:
      try:
        - count: { set: { n: 1 }, export: { as: { tries: '\${ context.tries + 1 }' } } }
        - check: { if: context.tries < 4, raise: { error: { type: 'https://x.test/flaky', status: 503 } } }
      catch: { retry: ${retry} }
output: { as: { tries: '\${ context.tries }' } }
`;
  test.each<[string, string, number]>([
    ['until it succeeds', '{}', 4],
    ['with a delay and exponential backoff', '{ delay: { milliseconds: 10 }, backoff: { exponential: {} } }', 4],
    [
      'with linear backoff and jitter',
      '{ delay: { milliseconds: 5 }, backoff: { linear: {} }, jitter: { from: { milliseconds: 1 }, to: { milliseconds: 5 } } }',
      4,
    ],
    ['at most as often as the limit says', '{ limit: { attempt: { count: 2 } } }', 3],
    ['while when holds', '{ when: context.tries < 2 }', 2],
    ['not when exceptWhen holds', '{ exceptWhen: error.status == 503 }', 1],
    ['not past the limit of the duration', '{ delay: { hours: 1 }, limit: { duration: { minutes: 1 } } }', 1],
  ])('are retried %s', async (_, retry, tries) => {
    expect(await worker.run(RETRY(retry), { tries: 0 })).toEqual({ tries });
  });
});

describe('time', () => {
  test.each<Case>([
    ['waits for ISO 8601 durations', 'do: [{w: {wait: PT0.02S}}]', { kept: 1 }, { kept: 1 }],
    [
      'waits as long as an expression says',
      'do: [{w: {wait: "${ data.pause }"}}]',
      { pause: 'PT0.02S' },
      { pause: 'PT0.02S' },
    ],
    [
      'catches the timeout of a task',
      'do: [{t: {try: [{w: {wait: PT1H, timeout: {after: {milliseconds: 30}}}}], catch: {errors: {with: {status: 408}}, do: [{h: {set: {code: "${ error.code }", at: "${ error.instance }"}}}]}}}]',
      null,
      { code: 'BLW_STEP_TIMEOUT', at: '/do/0/t/try/0/w' },
    ],
    [
      'takes a timeout from use.timeouts',
      'use: {timeouts: {short: {after: {milliseconds: 30}}}}\ndo: [{t: {try: [{g: {timeout: short, do: [{w: {wait: PT1H}}]}}], catch: {do: [{h: {set: {at: "${ error.instance }"}}}]}}}]',
      null,
      { at: '/do/0/t/try/0/g' },
    ],
    [
      'limits each try of a retry',
      'do: [{t: {try: [{w: {wait: PT1H}}], catch: {retry: {limit: {attempt: {count: 1, duration: {milliseconds: 20}}}}, do: [{h: {set: {s: "${ error.status }"}}}]}}}]',
      null,
      { s: 408 },
    ],
  ])('%s', async (_, flow, input, output) => {
    expect(await worker.run(flow, input)).toEqual(output);
  });

  test('fails the flow at its own timeout', async () => {
    const error = await worker.fail('timeout: {after: {milliseconds: 50}}\ndo: [{w: {wait: PT1H}}]');
    expect(error).toMatchObject({ code: 'BLW_STEP_TIMEOUT', status: 408 });
  });
});

describe('schemas', () => {
  const SCHEMA = '{document: {type: object, required: [n], properties: {n: {type: number}}}}';
  test.each<[string, string, Json, string]>([
    [
      'the input of the flow',
      `input: {schema: ${SCHEMA}}\ndo: [{a: {set: {x: 1}}}]`,
      { n: 'one' },
      'input of the flow: n: got a string, expected number',
    ],
    ['the input of a task', `do: [{a: {input: {schema: ${SCHEMA}}, set: {x: 1}}}]`, {}, 'input: "n" is missing'],
    ['the output of a task', `do: [{a: {set: {x: 1}, output: {schema: ${SCHEMA}}}}]`, {}, 'output: "n" is missing'],
    [
      'the exported context',
      `do: [{a: {set: {x: 1}, export: {as: data, schema: ${SCHEMA}}}}]`,
      {},
      'export: "n" is missing',
    ],
    [
      'the output of the flow',
      `do: [{a: {set: {x: 1}}}]\noutput: {schema: ${SCHEMA}}`,
      {},
      'output of the flow: "n" is missing',
    ],
  ])('check %s', async (_, flow, input, detail) => {
    expect(await worker.fail(flow, input)).toMatchObject({
      code: 'BLW_DATA_INVALID',
      status: 400,
      detail,
      ...(detail.includes('of the flow') ? {} : { instance: '/do/0/a' }),
    });
  });

  test('let good data pass everywhere', async () => {
    const flow = `input: {schema: ${SCHEMA}}\ndo: [{a: {input: {schema: ${SCHEMA}}, set: {n: "\${ data.n + 1 }"}, output: {schema: ${SCHEMA}}, export: {as: data, schema: ${SCHEMA}}}}]\noutput: {schema: ${SCHEMA}}`;
    expect(await worker.run(flow, { n: 1 })).toEqual({ n: 2 });
  });
});

describe('a flow that runs away', () => {
  test('is stopped with a clear error instead of stalling the worker', async () => {
    const error = await worker.fail('do: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 2}, then: a}}]');
    expect(error).toMatchObject({ code: 'BLW_STEP_LIMIT' });
    expect(await worker.run('do: [{a: {set: {alive: true}}}]')).toEqual({ alive: true });
  });
});

describe('cancellation', () => {
  test('ends the flow as cancelled, and is not caught', async () => {
    const handle = await worker.start(
      'do: [{t: {try: [{w: {wait: PT1H}}], catch: {do: [{h: {set: {caught: true}}}]}}}]',
    );
    await progressWhen(handle, ({ steps }) => steps.some(({ name }) => name === 'w'));
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });

  test('is not caught where a branch failed before', async () => {
    const handle = await worker.start(
      'do: [{t: {try: [{f: {fork: {compete: true, branches: [{bad: {raise: {error: {type: a, status: 500}}}}, {slow: {wait: PT1H}}]}}}], catch: {do: [{h: {set: {caught: true}}}]}}}]',
    );
    await progressWhen(handle, ({ steps }) => steps.some(({ name }) => name === 'slow'));
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const { status, steps } = await handle.query<FlowProgress>('progress');
    expect(status).toBe('Cancelled');
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ['t', 'cancelled'],
      ['f', 'cancelled'],
      ['bad', 'failed'],
      ['slow', 'cancelled'],
    ]);
  });
});

describe('progress', () => {
  test('shows each step, and only what changed since a version', async () => {
    const handle = await worker.start(
      'do: [{a: {set: {n: 1}}}, {l: {for: {in: "[1, 2]"}, do: [{b: {set: {n: 2}}}]}}, {s: {if: "false", set: {n: 3}}}]',
    );
    await handle.result();
    const all = await handle.query<FlowProgress>('progress');
    expect(all).toMatchObject({
      flow: 'test/flow:1.0.0',
      tenant: 'default',
      status: 'Completed',
      stepsStarted: 5,
      stepsEnded: 5,
    });
    expect(all.steps.map(({ id, iteration, block, status }) => [id, iteration, block, status])).toEqual([
      ['/do/0/a', undefined, 'set', 'completed'],
      ['/do/1/l', undefined, 'for', 'completed'],
      ['/do/1/l/do/0/b', '0', 'set', 'completed'],
      ['/do/1/l/do/0/b', '1', 'set', 'completed'],
      ['/do/2/s', undefined, 'set', 'skipped'],
    ]);
    expect((await handle.query<FlowProgress, [{ since: number }]>('progress', { since: all.version })).steps).toEqual(
      [],
    );
  });

  test('is found by its search attributes', async () => {
    const handle = await worker.start('do: [{a: {set: {n: 1}}}]', null, { tenant: 'acme' });
    await handle.result();
    const { searchAttributes } = await handle.describe();
    expect(searchAttributes).toMatchObject({
      BeamlineTenant: ['acme'],
      BeamlineFlow: ['test/flow:1.0.0'],
      BeamlineStatus: ['Completed'],
    });
  });
});
