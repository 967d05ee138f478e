import type { Workflow, WorkflowCreateOptions, WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import { FlowThreadWatch } from '../../../src/worker/flow-thread/flow-thread-watch';

const LIMIT_MS = 60_000;
const OPTIONS = {} as WorkflowCreateOptions;

interface Flow extends Workflow {
  answer(): void;
  readonly isDisposed: boolean;
}

/** A thread whose flows answer when they are told to. */
function stubThread(): { creator: WorkflowCreator; flows: Flow[] } {
  const flows: Flow[] = [];
  const creator: WorkflowCreator = {
    createWorkflow: async () => {
      const answers: (() => void)[] = [];
      let isDisposed = false;
      const flow: Flow = {
        activate: () => new Promise((resolve) => answers.push(() => resolve({}))),
        getAndResetSinkCalls: async () => [],
        dispose: async () => {
          isDisposed = true;
        },
        answer: () => answers.shift()?.(),
        get isDisposed() {
          return isDisposed;
        },
      };
      flows.push(flow);
      return flow;
    },
    destroy: async () => undefined,
  };
  return { creator, flows };
}

function watched(creator: WorkflowCreator): { creator: WorkflowCreator; interrupted: number[] } {
  const interrupted: number[] = [];
  const watch = new FlowThreadWatch({
    threadId: 7,
    limitMs: LIMIT_MS,
    onError: (error) => {
      throw error;
    },
    interrupt: async (threadId) => void interrupted.push(threadId),
  });
  return { creator: watch.wrap(creator), interrupted };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test('interrupts a thread that does not answer, although new flows are made meanwhile, and forgets the flow', async () => {
  const { creator, flows } = stubThread();
  const { creator: own, interrupted } = watched(creator);
  const stuck = (await own.createWorkflow(OPTIONS)).activate({});
  const failing = expect(stuck).rejects.toThrow('ran for more than 60000 ms without a wait');
  for (let passedMs = 0; passedMs < LIMIT_MS + 10_000; passedMs += 5_000) {
    await jest.advanceTimersByTimeAsync(5_000);
    await own.createWorkflow(OPTIONS);
  }
  expect(interrupted).toEqual([7]);
  await failing;
  expect(flows.map(({ isDisposed }) => isDisposed)).toEqual([true, ...flows.slice(1).map(() => false)]);
  await own.destroy();
});

test('leaves a thread alone that answers one flow after the other', async () => {
  const { creator, flows } = stubThread();
  const { creator: own, interrupted } = watched(creator);
  void (await own.createWorkflow(OPTIONS)).activate({});
  const busy = await own.createWorkflow(OPTIONS);
  for (let passedMs = 0; passedMs < 3 * LIMIT_MS; passedMs += 30_000) {
    const turn = busy.activate({});
    await jest.advanceTimersByTimeAsync(30_000);
    flows[1]?.answer();
    await turn;
  }
  expect(interrupted).toEqual([]);
  await own.destroy();
});
