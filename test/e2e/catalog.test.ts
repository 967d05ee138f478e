import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runCli } from '../helpers/cli';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const says = (name: string, text: string) => flowText(name, `do:\n  - say:\n      set: { text: ${text} }`);

const catalog = makeCatalogFolder({
  'shop/greet-1.yaml': says('shop/greet:1.0.0', 'one'),
  'shop/deep/er/greet.yml': says('shop/greet:1.10.0', 'ten'),
  'shop/greet-rc.yaml': says('shop/greet:2.0.0-rc.1', 'candidate'),
  'shop/as-json.json': JSON.stringify({
    document: { dsl: '1.0.3', namespace: 'shop', name: 'json', version: '1.0.0' },
    do: [{ say: { set: { text: 'json' } } }],
  }),
  'shop/broken.yaml': 'document: [unclosed\n',
  'twice/a.yaml': says('shop/twice:1.0.0', 'a'),
  'twice/b.yaml': says('shop/twice:1.0.0', 'b'),
  'shop/invalid.yaml': flowText('shop/invalid:1.0.0', 'do:\n  - a:\n      sett: 1'),
  'shop/waiting.yaml': flowText(
    'shop/waiting:1.0.0',
    'do:\n  - pause:\n      wait: PT1S\n  - say:\n      set: { text: old }',
  ),
  'functions/double/1.0.0/function.yaml': 'set: { result: "${ data.number * 2 }" }',
  'functions/double/2.0.0/function.yaml': 'set: { result: "${ data.number * 2 }", version: 2 }',
  'functions/twice/1.0.0/function.yaml': `
input: { schema: { document: { type: object, required: [number] } } }
do:
  - first: { call: 'double:1.0.0@default', with: { number: '\${ data.number }' } }
  - second: { call: 'double:1.0.0@default', with: { number: '\${ data.result }' } }
`,
  'functions/bad/1.0.0/function.yaml': 'call: fs.puut\nwith: {}',
  'functions/endless/1.0.0/function.yaml': "call: 'endless:1.0.0@default'",
  'team/functions/hello/1.0.0/function.yaml': 'set: { text: "Hello ${ data.name }" }',
});

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io', catalog: catalog.folder });
});
afterAll(async () => {
  await worker.stop();
  catalog.dispose();
});

const runNamed = async (flow: string, input = {}) =>
  await (
    await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `named-${worker.queuePrefix}-${flow}-${Math.random()}`,
      args: [{ flow, input }],
    })
  ).result();
const failNamed = async (flow: string) =>
  errorOf(
    await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `named-${worker.queuePrefix}-${flow}-${Math.random()}`,
      args: [{ flow }],
    }),
  );

describe('a flow is started by its name', () => {
  test.each([
    ['shop/greet:1.0.0', 'one'],
    ['shop/greet:1.10.0', 'ten'],
    ['shop/greet:2.0.0-rc.1', 'candidate'],
    ['shop/greet:latest', 'ten'],
    ['shop/greet', 'ten'],
    ['shop/json:1.0.0', 'json'],
  ])('%s says %s', async (name, text) => {
    expect(await runNamed(name)).toEqual({ text });
  });

  test.each([
    ['shop/greet:1.2.0', 'BLW_FLOW_UNKNOWN', 'there are: 2.0.0-rc.1, 1.10.0, 1.0.0'],
    ['shop/gret:1.0.0', 'BLW_FLOW_UNKNOWN', 'did you mean "shop/greet"?'],
    ['shop/gret:1.0.0', 'BLW_FLOW_UNKNOWN', 'shop/broken.yaml:2:1'],
    ['shop/twice:1.0.0', 'BLW_CATALOG_INVALID', 'is in twice/a.yaml and in twice/b.yaml'],
    ['shop/invalid:1.0.0', 'BLW_FLOW_INVALID', 'shop/invalid.yaml BLW_TASK_UNKNOWN'],
    ['shop/greet:one', 'BLW_START_INVALID', 'expected a semantic version'],
    ['greet', 'BLW_START_INVALID', 'expected namespace/name:version'],
    ['../shop/greet:1.0.0', 'BLW_START_INVALID', 'expected namespace/name:version'],
  ])('%s is refused with %s', async (name, code, message) => {
    expect(await failNamed(name)).toMatchObject({ code, detail: expect.stringContaining(message) });
  });

  it('sees a flow that was added, changed and removed without a restart', async () => {
    expect(await failNamed('shop/late:1.0.0')).toMatchObject({ code: 'BLW_FLOW_UNKNOWN' });
    catalog.write('late.yaml', says('shop/late:1.0.0', 'first'));
    expect(await runNamed('shop/late:1.0.0')).toEqual({ text: 'first' });
    catalog.write('late.yaml', says('shop/late:1.0.0', 'changed'));
    expect(await runNamed('shop/late:1.0.0')).toEqual({ text: 'changed' });
    catalog.remove('late.yaml');
    expect(await failNamed('shop/late:1.0.0')).toMatchObject({ code: 'BLW_FLOW_UNKNOWN' });
  });

  it('keeps the plan that a running flow began with', async () => {
    const handle = await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `waiting-${worker.queuePrefix}`,
      args: [{ flow: 'shop/waiting' }],
    });
    await eventually(async () => {
      const { stepsStarted, flow } = await handle.query<{ stepsStarted: number; flow: string }>('progress');
      return stepsStarted > 0 && flow === 'shop/waiting:1.0.0' ? true : undefined;
    });
    catalog.write('shop/waiting.yaml', says('shop/waiting:1.0.0', 'new'));
    expect(await handle.result()).toEqual({ text: 'old' });
    expect(await runNamed('shop/waiting')).toEqual({ text: 'new' });
  });
});

it('is what `beamline run` starts a flow with', async () => {
  const { address, namespace } = testTemporal();
  const run = (...args: string[]) =>
    runCli(['run', ...args, '--address', address, '--namespace', namespace, '--queue-prefix', worker.queuePrefix]);
  const { code, stdout, stderr } = await run('shop/greet');
  expect({ code, output: JSON.parse(stdout) }).toEqual({ code: 0, output: { text: 'ten' } });
  expect(stderr).toMatch(/^shop\/greet runs as greet-\w{8}$/m);
  const unknown = await run('shop/nothing:1.0.0');
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('BLW_FLOW_UNKNOWN') });
});

describe('functions', () => {
  it('runs a cataloged function with its arguments as input', async () => {
    expect(
      await worker.run("do:\n  - two:\n      call: double:1.0.0@default\n      with: { number: '${ data.n }' }", {
        n: 21,
      }),
    ).toEqual({
      result: 42,
    });
  });

  it('runs functions that call functions, each version by itself', async () => {
    const flow = `
do:
  - four: { call: 'twice:1.0.0@default', with: { number: 3 } }
  - other: { call: 'double:2.0.0@default', with: { number: '\${ data.result }' } }
`;
    expect(await worker.run(flow)).toEqual({ result: 24, version: 2 });
  });

  it('finds a catalog in a folder below, by path and by file: URL', async () => {
    for (const endpoint of ['team', `file://${catalog.folder}/team`]) {
      const flow = `
use: { catalogs: { ours: { endpoint: '${endpoint}' } } }
do:
  - hello: { call: 'hello:1.0.0@ours', with: { name: Ada } }
`;
      expect(await worker.run(flow)).toEqual({ text: 'Hello Ada' });
    }
  });

  it('gives an inline function a scope of its own', async () => {
    const flow = `
use:
  functions:
    add:
      input: { schema: { document: { type: object, required: [left, right] } } }
      do:
        - sum: { set: { sum: '\${ data.left + data.right }' } }
        - keep: { set: { kept: '\${ steps.sum.output.sum }' }, then: end }
        - never: { set: { never: true } }
      output: { as: '\${ data.kept }' }
do:
  - loop:
      for: { in: '[1, 2, 3]' }
      do:
        - more: { call: add, with: { left: '\${ item }', right: 10 }, output: { as: '{"total": data}' } }
  - after: { set: { last: '\${ data.total }' } }
`;
    expect(await worker.run(flow)).toEqual({ last: 13 });
  });

  it('tells that arguments do not fit, at the function', async () => {
    const flow = `
use: { functions: { add: { input: { schema: { document: { type: object, required: [left] } } }, set: { a: 1 } } } }
do:
  - wrong: { call: add, with: { right: '\${ 1 }' } }
`;
    expect(await worker.fail(flow)).toMatchObject({
      code: 'BLW_DATA_INVALID',
      instance: '/do/0/wrong/function',
      detail: expect.stringContaining('"left" is missing'),
    });
  });

  test.each([
    ['call: nothing:1.0.0@default', 'BLW_FUNCTION_UNKNOWN'],
    ['call: double:3.0.0@default', 'there are: 2.0.0, 1.0.0'],
    ['call: dubble:1.0.0@default', 'did you mean "double"?'],
    ['call: double:1.0.0@other', 'use.catalogs has no "other"'],
    ['call: bad:1.0.0@default', 'functions/bad/1.0.0/function.yaml /call'],
    ['call: endless:1.0.0@default', 'BLW_FUNCTION_RECURSIVE'],
    ['call: twice:1.0.0@default\n      with: { n: 1 }', '"number" is missing'],
  ])('%s is refused before the flow starts: %s', async (call, message) => {
    const error = await worker.fail(`do:\n  - step:\n      ${call}`);
    expect(error).toMatchObject({ code: 'BLW_FLOW_INVALID', detail: expect.stringContaining(message) });
  });

  test.each([
    '../elsewhere',
    '/etc',
    'file:///etc',
    `file://${catalog.folder}/../elsewhere`,
    `file://${catalog.folder}er`,
  ])('denies a catalog at %s', async (endpoint) => {
    const flow = `
use: { catalogs: { theirs: { endpoint: '${endpoint}' } } }
do:
  - step: { call: 'hello:1.0.0@theirs' }
`;
    const error = await worker.fail(flow);
    expect(error).toMatchObject({ detail: expect.stringContaining('BLW_CATALOG_DENIED') });
  });
});
