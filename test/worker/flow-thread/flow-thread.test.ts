import { UnexpectedError } from '@temporalio/worker';
import type { WorkflowCreateOptions } from '@temporalio/worker/lib/workflow/interface';
import { FlowThread } from '../../../src/worker/flow-thread/flow-thread';
import type { FlowThreadData } from '../../../src/worker/flow-thread/protocol';
import { FLOW_THREAD_ENTRY } from '../../../src/worker/package-files';
import { type Start, taskFailureBeside, withFlowWorker } from '../../helpers/flow-worker';

/** Runs `work` beside a worker whose workflows tell others by a sink, which gives what they said to `told`. */
async function withWorker(work: (start: Start) => Promise<void>, told?: (message: string) => void): Promise<void> {
  const sinks = { news: { tell: { fn: (_info: unknown, message: string) => told?.(message) } } };
  await withFlowWorker({ file: 'thread-workflows.ts', sinks }, work);
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
  await withWorker(async (start) => {
    const bad = await start(type);
    const runOther = async () => expect(await (await start('telling')).result()).toBe('told');
    expect(await taskFailureBeside(bad, runOther)).toContain(message);
    await bad.terminate();
  });
});

test('keeps no record of promises', async () => {
  await withWorker(async (start) => {
    const handle = await start('telling');
    await handle.result();
    await expect(handle.query('__stack_trace')).rejects.toThrow('not enabled');
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

/** A thread with that bundle, and what it tells that no flow hears of. */
async function startThread(
  code: string,
  limitMs = 60_000,
): Promise<{ thread: FlowThread; errors: [string, unknown][] }> {
  const errors: [string, unknown][] = [];
  const onError = (...error: [string, unknown]) => void errors.push(error);
  return { thread: await FlowThread.start(FLOW_THREAD_ENTRY, dataOf(code), { limitMs, onError }), errors };
}

const UNKNOWN = 'there is no run r in the thread of the flows';

describe('where there is no thread any more', () => {
  it('fails at the start with what the thread failed with', async () => {
    const starting = startThread(`${MINIMAL} throw new Error('a broken bundle');`);
    await expect(starting).rejects.toThrow(UnexpectedError);
    await expect(starting).rejects.toThrow('a broken bundle');
  });

  it('has a flow that goes on fail at once', async () => {
    const { thread } = await startThread(MINIMAL);
    await thread.destroy();
    await expect(thread.takeTurn({ runId: 'r', activation: {} })).rejects.toThrow(UnexpectedError);
  });

  it('has those fail that it was to answer, and tells nothing where it was to end', async () => {
    const { thread, errors } = await startThread(withRuntime('for (;;);'));
    const turn = thread.takeTurn({ runId: 'r', create: optionsOf('r'), activation: {} });
    await Promise.all([expect(turn).rejects.toThrow(UnexpectedError), thread.destroy()]);
    expect(errors).toEqual([]);
  });

  it('tells why it ended, where it was not to', async () => {
    const { thread, errors } = await startThread(withRuntime("Promise.reject(new Error('of nobody'));"));
    const take = () => thread.takeTurn({ runId: 'r', create: optionsOf('r'), activation: {} });
    await take().catch(() => undefined);
    // The thread ends after it has answered.
    while (errors.length === 0) await new Promise(setImmediate);
    expect(errors).toEqual([['the thread of the flows has ended', expect.any(UnexpectedError)]]);
    await expect(take()).rejects.toThrow('of nobody');
  });
});

describe('a flow that fails', () => {
  it('is told with name, message and stack, also of errors of the context in which flows run', async () => {
    const { thread } = await startThread(withRuntime("throw new RangeError('made there');"));
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

  it('is forgotten, as one is that the thread never knew', async () => {
    // It can be made, and not go on.
    const { thread } = await startThread(withRuntime(''));
    try {
      expect((await thread.takeTurn({ runId: 'r', activation: {} })).error?.message).toBe(UNKNOWN);
      const flow = await thread.createWorkflow(optionsOf('r'));
      await expect(flow.activate({})).rejects.toThrow('Cannot read properties of undefined');
      expect((await thread.takeTurn({ runId: 'r', activation: {} })).error?.message).toBe(UNKNOWN);
    } finally {
      await thread.destroy();
    }
  });

  it('is stopped where its code never waits, although new flows are made meanwhile', async () => {
    const { thread, errors } = await startThread(withRuntime('for (;;);'), 600);
    try {
      let isStopped = false;
      const turn = thread.takeTurn({ runId: 'r', create: optionsOf('r'), activation: {} });
      const stopped = expect(turn)
        .rejects.toThrow('ran for more than 600 ms without a wait')
        .then(() => {
          isStopped = true;
        });
      while (!isStopped) {
        await thread.createWorkflow(optionsOf('new'));
        await new Promise(setImmediate);
      }
      await stopped;
      expect((await thread.takeTurn({ runId: 'r', activation: {} })).error?.message).toBe(UNKNOWN);
      expect(errors).toEqual([]);
    } finally {
      await thread.destroy();
    }
  });
});
