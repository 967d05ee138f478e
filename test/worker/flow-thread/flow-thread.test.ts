import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, UnexpectedError } from '@temporalio/worker';
import { FlowThread } from '../../../src/worker/flow-thread/flow-thread';
import { FlowWorker } from '../../../src/worker/flow-thread/flow-worker';
import { FLOW_THREAD_ENTRY } from '../../../src/worker/package-files';
import { testTemporal } from '../../helpers/temporal';

const WORKFLOWS = join(__dirname, '../../helpers/thread-workflows.ts');

/** Runs `work` beside a worker of these workflows, which tells sinks to `told`. */
async function withWorker(
  work: (
    start: (type: string) => Promise<{ workflowId: string; result(): Promise<unknown> }>,
    client: Client,
  ) => Promise<void>,
  told: (message: string) => void = () => undefined,
): Promise<void> {
  const { address, namespace } = testTemporal();
  const connection = await NativeConnection.connect({ address });
  const clientConnection = await Connection.connect({ address });
  const client = new Client({ connection: clientConnection, namespace });
  try {
    const { code } = await bundleWorkflowCode({ workflowsPath: WORKFLOWS, logger: new DefaultLogger('ERROR') });
    const taskQueue = `flow-thread-${randomUUID()}`;
    const worker = await FlowWorker.create({
      connection,
      namespace,
      taskQueue,
      workflowBundle: { code },
      reuseV8Context: true,
      sinks: { news: { tell: { fn: (_info, message: string) => told(message) } } },
    });
    await worker.runUntil(() =>
      work((type) => client.workflow.start(type, { taskQueue, workflowId: `${type}-${randomUUID()}` }), client),
    );
  } finally {
    await clientConnection.close();
    await connection.close();
  }
}

test('hands on what a flow tells others, also where its code fails', async () => {
  const told: string[] = [];
  await withWorker(
    async (start) => {
      expect(await (await start('telling')).result()).toBe('told');
      await expect((await start('failing')).result()).rejects.toThrow('Workflow execution failed');
    },
    (message) => told.push(message),
  );
  expect(told).toEqual(['begun', 'ended', 'fails']);
});

test.each([
  ['careless', 'leaves a promise rejected', 'nobody hears of it'],
  ['babbling', 'tells others what cannot be sent', 'could not be cloned'],
])('fails the workflow task of a flow (%s) that %s, and no other', async (type, _, message) => {
  await withWorker(async (start, client) => {
    const bad = await start(type);
    const handle = client.workflow.getHandle(bad.workflowId);
    for (;;) {
      expect(await (await start('telling')).result()).toBe('told');
      const { events } = await handle.fetchHistory();
      const failed = events?.find(({ workflowTaskFailedEventAttributes: failure }) => failure);
      if (failed === undefined) continue;
      expect(failed.workflowTaskFailedEventAttributes?.failure?.message).toContain(message);
      break;
    }
    await handle.terminate();
  });
});

test('keeps no record of promises', async () => {
  await withWorker(async (start, client) => {
    const handle = await start('telling');
    await handle.result();
    await expect(client.workflow.getHandle(handle.workflowId).query('__stack_trace')).rejects.toThrow('not enabled');
  });
});

describe('where there is no thread any more', () => {
  const dataOf = (code: string) => ({
    bundle: { code, filename: '/bundle.js', sourceMap: { version: 3, sources: [], names: [], mappings: '' } as never },
    activityNames: new Set<string>(),
  });
  const MINIMAL = 'globalThis.__webpack_module_cache__; globalThis.__TEMPORAL__ = { api: {} };';

  it('fails at the start with what the thread failed with', async () => {
    const starting = FlowThread.start(FLOW_THREAD_ENTRY, dataOf(`${MINIMAL} throw new Error('a broken bundle');`));
    await expect(starting).rejects.toThrow(UnexpectedError);
    await expect(starting).rejects.toThrow('a broken bundle');
  });

  it('has a flow that goes on fail at once', async () => {
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, dataOf(MINIMAL));
    await thread.destroy();
    await expect(thread.takeTurn({ runId: 'r', activation: {} })).rejects.toThrow(UnexpectedError);
  });

  it('refuses a run that the thread does not know', async () => {
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, dataOf(MINIMAL));
    try {
      const { error } = await thread.takeTurn({ runId: 'r', activation: {} });
      expect(error?.message).toBe('there is no run r in the thread of the flows');
    } finally {
      await thread.destroy();
    }
  });
});
