import type { Json } from '../../src/dsl/json';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
const loop = (metadata: string, body: string) =>
  `do: [{l: {for: {in: workflow.input}, metadata: {${metadata}}, do: [${body}]}}]`;
const DOUBLE = "{d: {set: \"${ {'n': item * 2, 'at': index} }\"}}";
const doubled = (length: number) => range(length).map((n) => ({ n: n * 2, at: n }));

/** Fails for every seventh item. */
const SEVENTH =
  '{c: {if: item % 7 == 6, raise: {error: {type: "https://x.test/seventh", status: 500, detail: "item ${ item }"}}}}, {s: {set: "${ item }"}}';

describe('independent iterations', () => {
  test.each<[string, string, number]>([
    ['side by side', 'concurrency: 5', 12],
    ['one after the other', 'concurrency: 1', 5],
    ['in batches', 'concurrency: 4, batchSize: 5', 23],
    ['in batches side by side', 'concurrency: 6, batchSize: 2', 9],
    ['of no items', 'concurrency: 6', 0],
  ])('give their outputs in order, %s', async (_, metadata, count) => {
    expect(await worker.run(loop(metadata, DOUBLE), range(count))).toEqual(doubled(count));
  });

  test('each get the input of the loop, the variables around it and earlier outputs', async () => {
    const flow = `do: [{first: {set: {v: 7}}}, {o: {for: {each: x, in: "[1, 2]"}, do: [{l: {for: {each: y, in: "[10, 20, 30]"}, metadata: {concurrency: 2, batchSize: 2}, input: {from: "\${ {'k': x} }"},
      do: [{s: {set: "\${ [data.k, x, y, steps.first.output.v, workflow.input.w] }"}}]}}]}}]`;
    expect(await worker.run(flow, { w: 9 })).toEqual([10, 20, 30].map((y) => [2, 2, y, 7, 9]));
  });

  test('run so many at once, and no more', async () => {
    // Nobody serves gpu's queue of this worker's prefix until the end, so that all that begin stay pending.
    const io = await startTestWorker({ pools: 'io' });
    try {
      const handle = await io.start(
        loop('concurrency: 7', '{c: {call: fs.stat, with: {path: x}, metadata: {resources: gpu}}}'),
        range(30),
      );
      await eventually(async () => {
        const { raw } = await handle.describe();
        return raw.pendingActivities?.length === 7 && raw.pendingWorkflowTask == null ? true : undefined;
      });
      await handle.terminate();
    } finally {
      await io.stop();
    }
  });

  test('fail with the error of the first that fails, and the others are cancelled', async () => {
    const flow = loop(
      'concurrency: 3',
      '{w: {if: item != 1, wait: PT1H}}, {r: {raise: {error: {type: "https://x.test/e", status: 418}}}}',
    );
    expect(await worker.fail(flow, range(5))).toMatchObject({
      type: 'https://x.test/e',
      status: 418,
      instance: '/do/0/l/do/1/r',
    });
  });

  test.each<[string, string]>([
    ['a count', 'concurrency: 3, toleratedFailures: 2'],
    ['a share', 'concurrency: 3, toleratedFailures: 10%'],
    ['a count, in batches', 'batchSize: 4, toleratedFailures: 2'],
  ])('may fail as %s allows', async (_, metadata) => {
    const output = (await worker.run(loop(metadata, SEVENTH), range(20))) as Json[];
    expect(output.filter((item) => typeof item === 'object')).toMatchObject([
      { error: { type: 'https://x.test/seventh', status: 500, detail: 'item 6', instance: '/do/0/l/do/0/c' } },
      { error: { detail: 'item 13' } },
    ]);
    expect(output.filter((item) => typeof item === 'number')).toHaveLength(18);
  });

  test.each<[string, string]>([
    ['in one workflow', 'concurrency: 1, toleratedFailures: 1'],
    ['in batches', 'concurrency: 1, batchSize: 3, toleratedFailures: 1'],
  ])('fail as a whole where one more fails than is tolerated, %s', async (_, metadata) => {
    expect(await worker.fail(loop(metadata, SEVENTH), range(20))).toMatchObject({
      code: 'BLW_LOOP_FAILED',
      detail: '2 iterations failed, at most 1 may; the first of them, 6: item 6',
      data: [{ index: 6 }, { index: 13 }],
      instance: '/do/0/l',
    });
  });

  test.each<[string, string]>([
    ['in one workflow', 'concurrency: 4'],
    ['in batches', 'concurrency: 4, batchSize: 2'],
  ])('end the flow where one says so, %s', async (_, metadata) => {
    const body = '{w: {if: item != 2, wait: PT1H}}, {s: {set: {found: "${ item }"}, then: end}}';
    expect(await worker.run(`${loop(metadata, body).slice(0, -1)}, {never: {set: {x: 1}}}]`, range(4))).toEqual({
      found: 2,
    });
  });

  test('have keys and approvals of their own, also in batches', async () => {
    const handle = await worker.start(
      loop(
        'concurrency: 4, batchSize: 2',
        '{a: {call: human.approval, with: {title: "${ string(item) }"}, output: {as: data.decision}}}',
      ),
      range(4),
    );
    for (const index of range(4)) {
      const approval = worker.client.workflow.getHandle(`${handle.workflowId}/l/a/${index}`);
      await eventually(async () => (await approval.describe()).status.name === 'RUNNING' || undefined);
      await approval.executeUpdate('decide', {
        args: [{ decision: index % 2 === 0 ? 'approved' : 'rejected', by: 'ann' }],
      });
    }
    expect(await handle.result()).toEqual(['approved', 'rejected', 'approved', 'rejected']);
  });

  test('hold each other up for no longer than a workflow task where all have large values', async () => {
    const flow = loop(
      'concurrency: 40',
      '{s: {set: {v: "${ \\"x\\" * 300000 }"}}}, {t: {set: {size: "${ .v | length }"}}}',
    ).replace('in: workflow.input', 'in: "${ $workflow.input }"');
    const document = { ...flowOf(flow), evaluate: { language: 'jq' } };
    expect(await worker.run(document, range(40))).toEqual(range(40).map(() => ({ size: 300_000 })));
  });

  test('tell the flow what to undo where a batch runs away', async () => {
    const undoable = '{a: {set: {v: 1}, metadata: {compensate: [{n: {set: {v: 2}}}]}}}';
    const again = '{b: {set: {v: 1}}}, {c: {switch: [{again: {when: item == 3, then: b}}, {e: {then: exit}}]}}';
    expect(
      await worker.fail(loop('batchSize: 2, concurrency: 1', `${undoable}, ${again}`), [1, 2, 3, 4]),
    ).toMatchObject({ code: 'BLW_STEP_LIMIT', compensation: { completed: 3, failed: [] } });
  });

  test('are cancelled with the flow, also in batches', async () => {
    const handle = await worker.start(loop('concurrency: 4, batchSize: 2', '{w: {wait: PT1H}}'), range(4));
    const window = worker.client.workflow.getHandle(`${handle.workflowId}/l/items-0`);
    await progressWhen(window, ({ stepsStarted }) => stepsStarted > 2);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect((await window.describe()).status.name).toBe('CANCELLED');
  });
});

test('a window that nobody but a flow may start is refused', async () => {
  const handle = await worker.client.workflow.start('runWindow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `window-${worker.queuePrefix}`,
    args: [{}],
  });
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_START_INVALID' });
});

test('joins a thousand branches exactly once', async () => {
  const branches = range(1_000).map(
    (n) => `{b${n}: {call: fs.stat, with: {path: x, ifMissing: ignore}, output: {as: "${n}"}}}`,
  );
  const handle = await worker.start(`do: [{f: {fork: {branches: [${branches.join(', ')}]}}}]`);
  expect(await handle.result()).toEqual(range(1_000));
  expect((await progressWhen(handle, () => true)).stepsEnded).toBe(1_001);
}, 60_000);
