import type { WorkflowHandle } from '@temporalio/client';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
});
afterAll(() => worker.stop());

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
const fork = (branches: readonly string[]) =>
  `do: [{f: {fork: {branches: [${branches.map((branch, n) => `{b${n}: ${branch}}`).join(', ')}]}}}]`;

interface Scheduled {
  readonly key: string;
  readonly stepId: string;
  /** The workflow task that sent it. */
  readonly sentWith: string;
}

/** What was sent to Temporal, in order. */
async function scheduledBy(handle: WorkflowHandle): Promise<Scheduled[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
    const data = scheduled?.input?.payloads?.[0]?.data;
    if (scheduled == null || data == null) return [];
    const { key, stepId } = JSON.parse(Buffer.from(data).toString()) as { key: string; stepId: string };
    return [{ key, stepId, sentWith: String(scheduled.workflowTaskCompletedEventId) }];
  });
}

test('joins a thousand branches once, with the output of each', async () => {
  const handle = await worker.start(
    fork(range(1_000).map((n) => `{call: fs.stat, with: {path: x${n}, ifMissing: ignore}, output: {as: "${n}"}}`)),
  );
  expect(await handle.result()).toEqual(range(1_000));
  const scheduled = await scheduledBy(handle);
  expect(scheduled).toHaveLength(1_000);
  expect(new Set(scheduled.map(({ key }) => key)).size).toBe(1_000);
}, 120_000);

test('lets branches that wait for room in one after the other, as they came', async () => {
  // Each just too small to be kept beside the history, so that a workflow task has room for ten.
  const input = { d: 'x'.repeat(200_000) };
  const put = (n: number) => `{p: {call: fs.put, with: {path: x${n}, content: "\${ data.d }"}}}`;
  const then = (n: number) => `{s: {call: fs.stat, with: {path: x${n}}, output: {as: "${n}"}}}`;
  const handle = await worker.start(fork(range(14).map((n) => `{do: [${put(n)}, ${then(n)}]}`)), input);
  expect(await handle.result()).toEqual(range(14));
  const scheduled = await scheduledBy(handle);
  expect(new Set(scheduled.map(({ key }) => key)).size).toBe(28);
  const puts = scheduled.filter(({ stepId }) => stepId.endsWith('/p'));
  expect(puts.map(({ stepId }) => Number(/\/b(\d+)\//.exec(stepId)?.[1]))).toEqual(range(14));
  expect(new Set(puts.map(({ sentWith }) => sentWith)).size).toBeGreaterThan(1);
}, 60_000);
