import type { Json, JsonObject } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

/** What flows do where the specification (OWS dsl, dsl-reference) says it in so many words. */
let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

const ERRORS = 'https://open-workflow-specification.org/spec/1.0.0/errors';

describe('an error that no task raised has the place that it comes from', () => {
  test.each<[what: string, flow: string, expected: JsonObject]>([
    [
      'input that does not match its schema',
      'input: {schema: {document: {type: object, required: [y]}}}\ndo: [{a: {set: {x: 1}}}]',
      { type: `${ERRORS}/validation`, status: 400, instance: '/input' },
    ],
    [
      'input.from that fails',
      'input: {from: data.none}\ndo: [{a: {set: {x: 1}}}]',
      { type: `${ERRORS}/expression`, status: 400, instance: '/input' },
    ],
    [
      'the timeout of the flow',
      'timeout: {after: PT0.1S}\ndo: [{a: {wait: PT1M}}]',
      { type: `${ERRORS}/timeout`, status: 408, instance: '/timeout' },
    ],
    [
      'a timeout that is no duration',
      'timeout: {after: "${ \'soon\' }"}\ndo: [{a: {wait: PT1M}}]',
      { type: `${ERRORS}/validation`, status: 400, instance: '/timeout' },
    ],
    [
      'output.as that fails',
      'output: {as: data.none}\ndo: [{a: {set: {x: 1}}}]',
      { type: `${ERRORS}/expression`, status: 400, instance: '/output' },
    ],
    [
      'output that does not match its schema',
      'output: {schema: {document: {type: string}}}\ndo: [{a: {set: {x: 1}}}]',
      { type: `${ERRORS}/validation`, status: 400, instance: '/output' },
    ],
  ])('%s', async (_, flow, expected) => {
    expect(await worker.fail(flow, { x: 1 })).toMatchObject(expected);
  });
});

describe('export', () => {
  test.each(['cel', 'jq'])('is evaluated only on output that matches its schema, in %s', async (language) => {
    const as = language === 'cel' ? 'data.none' : 'error("evaluated")';
    const flow = flowIn(language, [
      { a: { set: { x: 1 }, output: { schema: { document: { required: ['y'] } } }, export: { as } } },
    ]);
    expect(await worker.fail(flow)).toMatchObject({ code: 'BLW_DATA_INVALID', instance: '/do/0/a' });
  });

  test('sees the transformed output and the raw one beside a schema of the output', async () => {
    const output = { as: '{y: .x}', schema: { document: { required: ['y'] } } };
    const flow = flowIn('jq', [
      { a: { set: { x: 1 }, output, export: { as: '{d: ., o: $output, r: $task.output}' } } },
      { b: { set: { output: '${ . }', context: '${ $context }' } } },
    ]);
    expect(await worker.run(flow)).toEqual({
      output: { y: 1 },
      context: { d: { y: 1 }, o: { y: 1 }, r: { x: 1 } },
    });
  });

  test.each<[language: string, context: string, add: (key: string) => string]>([
    ['jq', '$context', (key) => `$context + {${key}: 1}`],
    ['cel', 'context', (key) => `context + {"${key}": 1}`],
  ])('of branches that run side by side loses nothing, in %s', async (language, context, add) => {
    const schema = { document: { type: 'object' } };
    const branches = ['a', 'b', 'c', 'd'].map((name) => ({
      [name]: { set: { x: 1 }, export: { as: add(name), schema } },
    }));
    const flow = flowIn(language, [{ f: { fork: { branches } } }, { s: { set: `\${ ${context} }` } }]);
    expect(await worker.run(flow, {})).toEqual({ a: 1, b: 1, c: 1, d: 1 });
  });

  test('that fails lets the other branches export', async () => {
    const branches = [
      { a: { try: [{ t: { set: { x: 1 }, export: { as: 'error("no")' } } }], catch: {} } },
      { b: { set: { x: 1 }, export: { as: '$context + {b: 1}' } } },
    ];
    const flow = flowIn('jq', [{ f: { fork: { branches } } }, { s: { set: '${ $context }' } }]);
    expect(await worker.run(flow, {})).toEqual({ b: 1 });
  });
});

test('task.definition of a task in a function is that of the function', async () => {
  const flow: JsonObject = {
    ...flowIn('jq', [{ outer: { call: 'g', with: { n: 1 } } }]),
    use: {
      functions: {
        f: { set: { own: '${ $task.definition | keys }', path: '${ $task.reference }', before: '${ .before }' } },
        g: {
          do: [
            { x: { set: { keys: '${ $task.definition.set | keys }' } } },
            { y: { call: 'f', with: { before: '${ .keys }' } } },
          ],
        },
      },
    },
  };
  expect(await worker.run(flow)).toEqual({
    own: ['set'],
    path: '/do/0/outer/function/do/1/y/function',
    before: ['keys'],
  });
});

test('a reusable retry policy sees the caught error, whatever the clause calls it', async () => {
  const raise = { raise: { error: { type: 'https://x.test/inner', status: 503 } } };
  const inner = {
    try: [{ r: raise }],
    catch: { as: 'caught', retry: 'once', do: [{ s: { set: '${ $caught.type }' } }] },
  };
  const outer = {
    try: [{ r: { raise: { error: { type: 'https://x.test/outer', status: 400 } } } }],
    catch: { do: [{ i: inner }] },
  };
  const flow: JsonObject = {
    ...flowIn('jq', [{ o: outer }]),
    use: { retries: { once: { when: '$error.status == 503', limit: { attempt: { count: 1 } } } } },
  };
  const handle = await worker.start(flow);
  expect(await handle.result()).toBe('https://x.test/inner');
  const { steps } = await handle.query<FlowProgress>('progress');
  expect(steps.filter(({ name, status }) => name === 'r' && status === 'failed')).toHaveLength(3);
});

describe('a branch that is skipped does not win a race', () => {
  const skipped = { if: '${ false }', set: { skipped: true } };
  test.each<[what: string, branches: Json, output: Json]>([
    ['over one that runs', [{ a: skipped }, { b: { wait: 'PT0.1S', output: { as: '"ran"' } } }], 'ran'],
    ['and where all are, the input goes on', [{ a: skipped }, { b: skipped }], { n: 1 }],
  ])('%s', async (_, branches, output) => {
    const flow = flowIn('jq', [{ race: { fork: { compete: true, branches } } }]);
    expect(await worker.run(flow, { n: 1 })).toEqual(output);
  });

  test('and does not hide that the others failed', async () => {
    const raise = { raise: { error: { type: 'https://x.test/no', status: 409 } } };
    const flow = flowIn('jq', [{ race: { fork: { compete: true, branches: [{ a: skipped }, { b: raise }] } } }]);
    expect(await worker.fail(flow)).toMatchObject({ status: 409, instance: '/do/0/race/fork/branches/1/b' });
  });
});

describe('a URI template takes top-level properties of the data', () => {
  test('in source and dataschema of an emitted event, and nowhere in its data', async () => {
    const event = { type: 't', source: 'https://x.test/{id}', dataschema: '/schemas/{id}', data: { id: '{id}' } };
    const flow = flowIn('jq', [{ e: { emit: { event: { with: event } } } }]);
    expect(await worker.run(flow, { id: 'a b' })).toMatchObject({
      source: 'https://x.test/a%20b',
      dataschema: '/schemas/a%20b',
      data: { id: '{id}' },
    });
  });

  test('in the type of an error, inline and from use.errors', async () => {
    const flow: JsonObject = {
      ...flowIn('jq', [
        {
          t: {
            try: [{ r: { raise: { error: 'named' } } }],
            catch: {
              do: [{ q: { raise: { error: { type: 'https://y/{id}', status: 401, detail: '${ $error.type }' } } } }],
            },
          },
        },
      ]),
      use: { errors: { named: { type: 'https://x/{id}', status: 400, title: '{id}' } } },
    };
    expect(await worker.fail(flow, { id: 7 })).toMatchObject({ type: 'https://y/7', detail: 'https://x/7' });
  });
});

function flowIn(language: string, tasks: Json): JsonObject {
  return {
    document: { dsl: '1.0.3', namespace: 'test', name: 'flow', version: '1.0.0' },
    evaluate: { language },
    do: tasks,
  };
}
