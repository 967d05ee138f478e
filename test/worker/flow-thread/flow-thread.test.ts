import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, UnexpectedError } from '@temporalio/worker';
import type { WorkflowCreateOptions } from '@temporalio/worker/lib/workflow/interface';
import { FlowThread } from '../../../src/worker/flow-thread/flow-thread';
import { FlowWorker } from '../../../src/worker/flow-thread/flow-worker';
import type { FlowThreadData } from '../../../src/worker/flow-thread/protocol';
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

const MINIMAL = 'globalThis.__webpack_module_cache__; globalThis.__TEMPORAL__ = { api: {} };';

/** A bundle that does this to make a flow. */
function withRuntime(code: string): string {
  return `${MINIMAL} globalThis.__TEMPORAL__.api.initRuntime = () => { ${code} };`;
}

function dataOf(code: string): FlowThreadData {
  const sourceMap = { version: 3, file: '/bundle.js', sources: [], names: [], mappings: '' };
  return { bundle: { code, filename: '/bundle.js', sourceMap }, activityNames: new Set() };
}

/** Of a flow, as far as the thread looks at them before its code does. */
function optionsOf(runId: string): WorkflowCreateOptions {
  return { info: { runId, unsafe: {} } } as unknown as WorkflowCreateOptions;
}

describe('where there is no thread any more', () => {
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

  it('has those fail that it was to answer, and tells why it ended unless it was to', async () => {
    const ends: Error[] = [];
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, dataOf(withRuntime('for (;;);')), (why) => ends.push(why));
    const turn = thread.takeTurn({ runId: 'r', create: optionsOf('r'), activation: {} });
    await Promise.all([expect(turn).rejects.toThrow(UnexpectedError), thread.destroy()]);
    expect(ends).toEqual([]);
  });
});

describe('what goes wrong in the thread', () => {
  it('is told with name, message and stack, also of errors of the context in which flows run', async () => {
    const thread = await FlowThread.start(
      FLOW_THREAD_ENTRY,
      dataOf(withRuntime("throw new RangeError('made there');")),
    );
    try {
      const { error } = await thread.takeTurn({ runId: 'r', create: optionsOf('r'), activation: {} });
      expect(error).toEqual({
        name: 'RangeError',
        message: 'made there',
        stack: expect.stringContaining('/bundle.js'),
      });
    } finally {
      await thread.destroy();
    }
  });

  it('is that a run is not known', async () => {
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, dataOf(MINIMAL));
    try {
      const { error } = await thread.takeTurn({ runId: 'r', activation: {} });
      expect(error?.message).toBe('there is no run r in the thread of the flows');
    } finally {
      await thread.destroy();
    }
  });
});
