import { randomUUID } from 'node:crypto';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { dryRunOn } from '../helpers/dry-run';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Refuses an input without a number. */
const PICKY = `input:
  schema: { document: { type: object, required: [number] } }
do:
  - pay: { call: fs.put, with: { path: a, content: b } }
`;

let test: TestWorker;
const catalog = makeCatalogFolder({ 'picky.yaml': flowText('shop/picky:1.0.0', PICKY) });

beforeAll(async () => {
  test = await startTestWorker({ pools: 'io,sandbox', catalog: catalog.folder });
});

afterAll(async () => {
  await test.stop();
  catalog.dispose();
});

const dryRun = (flow: JsonObject, start?: JsonObject): Promise<DryRunReport> => dryRunOn(test, flow, start);

function live(flow: JsonObject): Promise<unknown> {
  return test.client.workflow.execute(RUN_FLOW, {
    workflowId: `live-${randomUUID()}`,
    taskQueue: `${test.queuePrefix}-io`,
    args: [{ flow, tenant: 'globex' }],
  });
}

it('makes up little of a schema that asks for millions of values, so that others go on', async () => {
  const parts = Array.from({ length: 15 }, () => "{ $ref: '#' }").join(', ');
  const required = [...'abcdefghijklmnopqrstuvwxyzABCD'];
  const properties = required.map((name) => `${name}: { $ref: '#' }`).join(', ');
  const wide = flowOf(`
do:
  - get:
      call: http
      with: { method: get, endpoint: https://example.com }
      output: { schema: { document: { allOf: [${parts}] } } }
`);
  const deep = flowOf(`
do:
  - ask:
      call: human.approval
      with: { title: Fill it in, form: { type: object, required: [${required.join(', ')}], properties: { ${properties} } } }
`);
  const other = live(flowOf('do:\n  - a: { set: { b: 1 } }'));
  const reports = await Promise.all([dryRun(wide), dryRun(deep)]);
  expect(reports.map(({ steps }) => steps.map(({ name }) => name))).toEqual([['get'], ['ask']]);
  expect(await other).toEqual({ b: 1 });
});

it.each([
  ['one after the other', ''],
  ['side by side', ', metadata: { concurrency: 2 }'],
  ['in batches', ', metadata: { batchSize: 1 }'],
])('goes on through the answers of a step where a loop is tried again, %s', async (_, metadata) => {
  const flow = flowOf(`
do:
  - again:
      try:
        - loop: { for: { in: '\${ [1, 2] }' }, do: [{ put: { call: fs.put, with: { path: a, content: b } } }]${metadata} }
      catch: { retry: { limit: { attempt: { count: 4 } } } }
`);
  const answers = [{ error: { code: 'BLW_FS_PATH' } }, { output: { size: 1 } }];
  const report = await dryRun(flow, { mocks: { put: answers } });
  expect(report.error).toBeUndefined();
  expect(report.steps.filter(({ name, status }) => name === 'put' && status === 'failed').length).toBeGreaterThan(0);
});

it('passes over what becomes of a flow that is not waited for, and says it', async () => {
  const flow = flowOf(`
do:
  - start: { run: { workflow: { namespace: shop, name: picky, version: '1.0.0', input: { word: x } }, await: false } }
  - after: { set: { done: true } }
`);
  const refused = await dryRun(flow);
  expect(refused).toMatchObject({ status: 'completed', output: { done: true } });
  expect(refused.steps[0]).toMatchObject({
    status: 'completed',
    would: expect.stringContaining('that flow would fail: '),
  });
  const mocked = await dryRun(flow, { mocks: { start: { error: { code: 'BLW_HTTP_STATUS' } } } });
  expect(mocked).toMatchObject({ status: 'completed', output: { done: true } });
  expect(mocked.steps[0]?.would).toContain('that flow would fail: ');
});

it('ends a step that fails for ever after 100 attempts', async () => {
  const flow = flowOf(`
do:
  - get:
      call: http
      with: { method: get, endpoint: https://example.com }
      metadata: { retry: { maximumAttempts: 100000 } }
`);
  const report = await dryRun(flow, { mocks: { get: { error: { code: 'BLW_HTTP_STATUS', status: 503 } } } });
  expect(report).toMatchObject({ status: 'failed', steps: [{ attempts: 100 }] });
});

it('takes the mock of a script in the document for that of a block', async () => {
  const flow = flowOf(`
do:
  - script:
      run: { script: { language: js, code: 'console.log(1)' }, return: code }
      metadata: { mock: { output: 7 } }
`);
  expect(await dryRun(flow)).toMatchObject({ output: 7, steps: [{ answer: 'document' }] });
});

it('lets thousands of waits side by side end in time', async () => {
  const flow = flowOf(`
do:
  - outer:
      for: { each: a, in: '\${ [1, 2, 3, 4, 5, 6, 7, 8] }' }
      do:
        - inner:
            for: { each: b, in: '\${ workflow.input }' }
            do: [{ pause: { wait: PT1H } }]
            metadata: { concurrency: 1000 }
      metadata: { concurrency: 8 }
`);
  const report = await dryRun(flow, { input: Array.from({ length: 1_000 }, (_, index) => index) });
  expect(report).toMatchObject({ status: 'completed', skippedMs: 3_600_000 });
});

it('compares only so many wrong mocks with the steps of a flow', async () => {
  const name = 'a'.repeat(110);
  const steps = Array.from({ length: 400 }, (_, index) => `  - ${name}${1_000 + index}: { set: { b: 1 } }`);
  const wrong = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`${name}z${index}`, { output: 1 }]));
  const handle = await test.client.workflow.start(RUN_FLOW, {
    workflowId: `dry-${randomUUID()}`,
    taskQueue: `${test.queuePrefix}-sandbox`,
    args: [{ flow: flowOf(`do:\n${steps.join('\n')}`), tenant: 'acme', mode: 'dry-run', mocks: wrong }],
  });
  const error = await errorOf(handle);
  expect(String(error.detail).match(/no step is called/g)?.length).toBeLessThanOrEqual(20);
});
