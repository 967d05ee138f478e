import { FlowThreadWatch } from '../../../src/worker/flow-thread/flow-thread-watch';

const LIMIT_MS = 60_000;

/** A watch over a thread that was asked for something, and what it did. */
function watched(isAsked = () => true) {
  const interrupted: number[] = [];
  const givenUp: string[] = [];
  const watch = new FlowThreadWatch({
    threadId: 7,
    limitMs: LIMIT_MS,
    isAsked,
    giveUp: ({ message }) => void givenUp.push(message),
    onError: (error) => {
      throw error;
    },
    interrupt: async (threadId) => void interrupted.push(threadId),
  });
  return { watch, interrupted, givenUp };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test('interrupts a thread that does not answer, and gives up what it was asked for', async () => {
  const { watch, interrupted, givenUp } = watched();
  await jest.advanceTimersByTimeAsync(LIMIT_MS);
  expect(interrupted).toEqual([]);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(interrupted).toEqual([7]);
  expect(givenUp).toEqual(["the flow's code ran for more than 60000 ms without a wait, and was stopped"]);
  watch.end();
});

test('leaves a thread alone that answers now and then, was asked for nothing, or has ended', async () => {
  const busy = watched();
  const idle = watched(() => false);
  const over = watched();
  over.watch.end();
  for (let passedMs = 0; passedMs < 3 * LIMIT_MS; passedMs += 30_000) {
    await jest.advanceTimersByTimeAsync(30_000);
    busy.watch.answered();
  }
  expect([busy, idle, over].flatMap(({ interrupted }) => interrupted)).toEqual([]);
  busy.watch.end();
  idle.watch.end();
});
