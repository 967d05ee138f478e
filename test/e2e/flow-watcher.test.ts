import { watchFlow } from '../../src/cli/flow-watcher';
import type { FlowProgress } from '../../src/dsl/progress';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

test('says so while nothing happens in the flow, and not that something has changed', async () => {
  const handle = await worker.start('do: [{w: {wait: PT1H}}]');
  const { runId } = await handle.describe();
  const versions: number[] = [];
  let unchanged = 0;
  let cancelling: Promise<unknown> | undefined;
  const observer = {
    onProgress: ({ version }: FlowProgress) => versions.push(version),
    onUnchanged: () => {
      unchanged += 1;
      if (unchanged === 2) cancelling = handle.cancel();
    },
    onNotice: () => undefined,
  };
  const { client, queuePrefix } = worker;
  const flow = { client, workflowId: handle.workflowId, runId, taskQueue: `${queuePrefix}-io` };
  const outcome = await watchFlow(flow, observer, new AbortController().signal);
  await cancelling;
  expect(outcome.status).toBe('Cancelled');
  expect(unchanged).toBeGreaterThan(1);
  expect(versions).toEqual([...new Set(versions)]);
});
