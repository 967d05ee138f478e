import type { WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import type { Json } from '../../src/dsl/json';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
});
afterAll(() => worker.stop());

const MEGABYTE = { d: 'x'.repeat(1_000_000) };
/** Three times the input's `d`. */
const three = Array.from({ length: 3 }, () => '"${ data.d }"').join(', ');
const times = (count: number) => Array.from({ length: count }, () => 'data.d').join(' + ');

/** Tasks of a workflow that failed: each would be tried again for ever. */
async function failedTasks(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.workflowTaskFailedEventAttributes != null).length;
}

describe('ends a flow in words, not its workflow task for ever, where', () => {
  test.each<[string, string, Json, string]>([
    [
      'a retry without a wait meets the same error again and again',
      'do: [{t: {try: [{r: {raise: {error: {type: "https://x.test/e", status: 500}}}}], catch: {retry: {}}}}]',
      null,
      'BLW_STEP_LIMIT',
    ],
    [
      'steps that fail before they wait go round and round',
      'do: [{t: {try: [{c: {call: fs.stat, with: {path: x}, timeout: {after: "${ data.bad }"}}}], catch: {}}}, {g: {switch: [{x: {then: t}}]}}]',
      { bad: 'soon' },
      'BLW_STEP_LIMIT',
    ],
    [
      'arguments are too large',
      `do: [{a: {call: fs.put, with: {path: x, content: [${three}]}}}]`,
      { d: 'x'.repeat(36_000_000) },
      'BLW_ARG_INVALID',
    ],
    [
      'an expression would run for minutes',
      'do: [{a: {set: {n: "${ size(data.l.filter(a, data.l.all(b, data.l.all(c, true)))) }"}}}]',
      { l: Array.from({ length: 1_000 }, (_, n) => n) },
      'BLW_EXPR_FAILED',
    ],
    [
      'data doubles with each step',
      'do: [{a: {set: {l: "${ data.l + data.l }"}}}, {b: {switch: [{again: {then: a}}]}}]',
      { l: [1, 2, 3] },
      'BLW_EXPR_FAILED',
    ],
    [
      'the output is too large in bytes, not in characters',
      `do: [{a: {set: {l: [${three}]}}}]`,
      { d: '漢'.repeat(12_000_000) },
      'BLW_RESULT_TOO_LARGE',
    ],
  ])('%s', async (_, flow, input, code) => {
    const handle = await worker.start(flow, input);
    expect(await errorOf(handle)).toMatchObject({ code });
    expect(await failedTasks(handle)).toBe(0);
  });

  test('the error is too large', async () => {
    const handle = await worker.start(
      `do: [{a: {raise: {error: {type: "https://x.test/e", status: 500, detail: "\${ ${times(5)} }"}}}}]`,
      MEGABYTE,
    );
    const error = await errorOf(handle);
    expect(error).toMatchObject({ status: 500, type: 'https://x.test/e' });
    expect(String(error.detail)).toHaveLength(10_000);
  });
});

test('says nothing of an effect where no worker took the step in time', async () => {
  // Nobody serves the queue of gpu here.
  const error = await worker.fail(
    'do: [{a: {call: http, with: {method: post, endpoint: "http://127.0.0.1:1/"}, metadata: {resources: gpu}, timeout: {after: PT0.5S}}}]',
  );
  const detail = 'no worker of the pool gpu took the step before its timeout was over; it did not run';
  expect(error).toMatchObject({ code: 'BLW_STEP_TIMEOUT', status: 408, instance: '/do/0/a', detail });
  expect(error).not.toHaveProperty('data');
});

test('sends large arguments of several branches one after the other', async () => {
  const branches = [1, 2, 3, 4, 5].map((n) => `{b${n}: {call: fs.put, with: {path: x${n}, content: "\${ data.d }"}}}`);
  const handle = await worker.start(`do: [{f: {fork: {branches: [${branches.join(', ')}]}}}]`, MEGABYTE);
  const size = { size: 1_000_000 };
  expect(await handle.result()).toMatchObject([size, size, size, size, size]);
});

test('holds back branches beyond what Temporal takes at once', async () => {
  // Nobody serves the queue of gpu here, so that all of them stay pending.
  const call = 'call: fs.stat, with: {path: x}, metadata: {resources: gpu}';
  const branches = Array.from({ length: 2_100 }, (_, n) => `{b${n}: {${call}}}`);
  const handle = await worker.start(`do: [{f: {fork: {branches: [${branches.join(', ')}]}}}]`);
  await eventually(async () => {
    const { raw } = await handle.describe();
    return raw.pendingActivities?.length === 1_900 && raw.pendingWorkflowTask == null ? true : undefined;
  });
  // Those that wait for room end with the others.
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) });
  expect(await failedTasks(handle)).toBe(0);
});

test.each([
  ['a loop', { status: 500 }, 'for: {in: [ITEMS]}, metadata: {concurrency: 1000, batchSize: 1000}, do: [FAIL, WAIT]'],
  ['a fork', { code: 'BLW_EXPR_FAILED' }, 'fork: {branches: [BRANCHES]}'],
])('ends %s of a thousand at once where one fails', async (_, error, task) => {
  const numbers = Array.from({ length: 1_000 }, (_, n) => n);
  const branch = (n: number) => `{b${n}: {wait: PT1H}}`;
  // The last one fails, when all are under way.
  const last = '{last: {wait: PT0.1S, output: {as: data.a.b}}}';
  const text = task
    .replace('ITEMS', numbers.join())
    .replace('FAIL', '{fail: {if: item == 999, raise: {error: {type: "https://x.test/e", status: 500}}}}')
    .replace('WAIT', '{wait: {wait: PT1H}}')
    .replace('BRANCHES', [...numbers.slice(1).map(branch), last].join());
  const handle = await worker.start(`do: [{t: {${text}}}]`, {});
  expect(await errorOf(handle)).toMatchObject(error);
  const { events } = await handle.fetchHistory();
  expect((events ?? []).filter((event) => event.workflowTaskTimedOutEventAttributes != null)).toEqual([]);
});

test('gives every execution of a step a key of its own, also in a group that is visited again', async () => {
  const handle = await worker.start(`
do:
  - begin: { set: { n: 1 }, export: { as: { inner: 0, outer: 0 } } }
  - group:
      do:
        - step: { call: fs.stat, with: { path: x, ifMissing: ignore }, metadata: { dispatch: queue } }
        - count: { set: { n: 1 }, export: { as: { inner: "\${ context.inner + 1 }", outer: "\${ context.outer }" } } }
        - again: { switch: [{ more: { when: context.inner % 2 == 1, then: step } }, { enough: { then: exit } }] }
  - count: { set: { n: 1 }, export: { as: { inner: "\${ context.inner }", outer: "\${ context.outer + 1 }" } } }
  - again: { switch: [{ more: { when: context.outer < 2, then: group } }, { enough: { then: exit } }] }
`);
  await handle.result();
  const { events } = await handle.fetchHistory();
  const keys = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled == null ? [] : [JSON.parse(Buffer.from(scheduled.input?.payloads?.[0]?.data ?? []).toString()).key],
  );
  expect(keys.map((key: string) => key.split(':').at(-2))).toEqual(['0', '1~1', '~1', '~1.1~1']);
});
