import { createOutput } from '../../src/cli/output';
import { ProgressPrinter } from '../../src/cli/progress-printer';
import { QuotaNotices } from '../../src/cli/quota-notices';
import type { FlowProgress, StepProgress } from '../../src/dsl/progress';
import type { QuotaNeed } from '../../src/dsl/quota';
import { CollectedText } from '../helpers/collected-text';

const waiting = (seq: number, waitsFor?: QuotaNeed): StepProgress => ({
  seq,
  id: `/do/${seq}/s`,
  name: 's',
  block: 'http.request',
  status: 'awaitingQuota',
  startedAt: 0,
  ...(waitsFor === undefined ? {} : { waitsFor }),
});
const progress = (steps: StepProgress[], more: Partial<FlowProgress> = {}): FlowProgress => ({
  flow: 'a/b:1.0.0',
  tenant: 'acme',
  status: 'Running',
  startedAt: 0,
  stepsStarted: 9,
  stepsEnded: 0,
  steps,
  version: 1,
  ...more,
});
const FULL: QuotaNeed = { reason: 'concurrentSteps', limit: 2, used: 2 };

test.each<[QuotaNeed | undefined, string]>([
  [FULL, 'concurrentSteps 2 of 2 in use by tenant acme'],
  [{ ...FULL, used: 1 }, 'concurrentSteps 1 of 2 in use by tenant acme, others are before it in the line'],
  [
    { reason: 'concurrentSteps', limit: 2 },
    'concurrentSteps: tenant acme may run 2 at once, and this flow has as many under way',
  ],
  [{ reason: 'stepsPerSecond', limit: 0.5 }, 'stepsPerSecond: tenant acme may begin 0.5 steps a second'],
  [
    { reason: 'cpuTime', limit: 7_200_000, until: 1_800_000_000_000 },
    'cpuTime: tenant acme has used its 2 h 0 min of the window, which ends at 2027-01-15T08:00:00.000Z',
  ],
  [{ reason: 'blobBytes', limit: 1_048_576, used: 1_024 }, 'blobBytes 1 KiB of 1 MiB in use by tenant acme'],
  [{ reason: 'flows', limit: 3, used: 3 }, 'flows 3 of 3 open for tenant acme'],
  [{ reason: 'store' }, 'the store that keeps the quotas does not answer; workers ask it again'],
  [undefined, 'a quota of tenant acme'],
])('says of %j what a tenant has to know', (need, text) => {
  expect(new QuotaNotices().find(progress([waiting(1, need)]))).toMatchObject([{ text }]);
});

test('tells each quota once, and again half a minute later or where its limit has changed', () => {
  let now = 1_000;
  const notices = new QuotaNotices(() => now);
  const told = (need: QuotaNeed) => notices.find(progress([waiting(1, need)])).length;
  expect([told(FULL), told({ ...FULL, used: 1 }), told({ ...FULL, limit: 3 })]).toEqual([1, 0, 1]);
  now += 29_000;
  expect(told(FULL)).toBe(0);
  now += 1_000;
  expect(told(FULL)).toBe(1);
});

test('prints one line for all steps that wait for the same, and one for the flow', () => {
  const text = new CollectedText();
  const printer = new ProgressPrinter(createOutput(text, { env: {}, onBroken: () => undefined }));
  printer.show(progress([], { waitsFor: { reason: 'flows', limit: 1, used: 1 } }));
  printer.show(progress([waiting(1, FULL), waiting(2, FULL), waiting(3, FULL)]));
  expect(text.lines()).toEqual([
    expect.stringMatching(/^… the flow +waits: flows 1 of 1 open for tenant acme$/),
    expect.stringMatching(
      /^… \/do\/1\/s +http\.request +waits: concurrentSteps 2 of 2 in use by tenant acme \(and 2 more steps\)$/,
    ),
  ]);
});

test('what waits and is not heard of is told again every half a minute, until it goes on', () => {
  jest.useFakeTimers({ now: 1_000 });
  try {
    const text = new CollectedText();
    const printer = new ProgressPrinter(createOutput(text, { env: {}, onBroken: () => undefined }));
    const linesAfter = (ms: number): number => {
      jest.setSystemTime(Date.now() + ms);
      printer.remind();
      return text.lines().length;
    };
    expect(linesAfter(0)).toBe(0);
    printer.show(progress([waiting(1, FULL)]));
    expect([linesAfter(0), linesAfter(29_000), linesAfter(1_000), linesAfter(1_000)]).toEqual([1, 1, 2, 2]);
    printer.show(progress([]));
    expect(linesAfter(60_000)).toBe(2);
  } finally {
    jest.useRealTimers();
  }
});
