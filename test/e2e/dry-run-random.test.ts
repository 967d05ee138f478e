import fc from 'fast-check';
import type { JsonObject } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { dryRunOn } from '../helpers/dry-run';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Flows of every shape that wait: a dry run takes the time that the shape says, with histories of a few events and with one history. */
let server: TemporalServer;
let short: TestWorker;
let long: TestWorker;
beforeAll(async () => {
  server = await startTemporalOfShortHistories(25);
  const settings = { pools: 'sandbox' };
  [short, long] = [await startTestWorker(settings, server), await startTestWorker(settings)];
}, 30_000);
afterAll(async () => {
  await Promise.all([short?.stop(), long?.stop()]);
  await server?.stop();
});

/** A task, and the minutes that it takes. */
interface Timed {
  readonly task: JsonObject;
  readonly minutes: number;
}

let names = 0;
const named = (task: JsonObject): JsonObject => {
  names += 1;
  return { [`t${names}`]: task };
};
const sum = (list: readonly Timed[]): number => list.reduce((total, { minutes }) => total + minutes, 0);
const tasksOf = (list: readonly Timed[]): JsonObject[] => list.map(({ task }) => named(task));
const group = (list: readonly Timed[]): Timed => ({ task: { do: tasksOf(list) }, minutes: sum(list) });

/** Each in the lane that is free first. */
function inLanes(minutes: readonly number[], count: number): number {
  const lanes = Array.from({ length: count }, () => 0);
  for (const each of minutes) {
    const first = lanes.indexOf(Math.min(...lanes));
    lanes[first] = (lanes[first] ?? 0) + each;
  }
  return Math.max(...lanes);
}

const ITEMS = 3;

function loop(list: readonly Timed[], { concurrency, batchSize }: { concurrency: number; batchSize: number }): Timed {
  const task = { for: { in: '[1, 2, 3]' }, do: tasksOf(list), metadata: { concurrency, batchSize } };
  const each = sum(list);
  const batches = Array.from({ length: Math.ceil(ITEMS / batchSize) }, (_, index) => {
    const size = Math.min(batchSize, ITEMS - index * batchSize);
    return inLanes(
      Array.from({ length: size }, () => each),
      Math.min(concurrency, batchSize),
    );
  });
  const minutes =
    ITEMS <= batchSize ? (batches[0] ?? 0) : inLanes(batches, Math.max(1, Math.floor(concurrency / batchSize)));
  return { task, minutes };
}

/** A step that is answered, or whose attempts all run out of time. */
function call(attempts: number): Timed {
  const mock = attempts === 0 ? { output: 1 } : { timeout: true };
  const retry = { initialInterval: 'PT30S', backoffCoefficient: 1, maximumAttempts: Math.max(1, attempts) };
  const http = { call: 'http', with: { method: 'get', endpoint: 'https://x.test/' }, metadata: { mock, retry } };
  return {
    task: { try: [named(http)], catch: { do: [named({ set: '${ 1 }' })] } },
    // An attempt has half a minute, and so has the pause before another one.
    minutes: Math.max(0, attempts - 0.5),
  };
}

const tried = (list: readonly Timed[], handler: readonly Timed[]): Timed => ({
  task: {
    try: [...tasksOf(list), named({ raise: { error: { type: 'https://x.test/e', status: 500 } } })],
    catch: { retry: { limit: { attempt: { count: 1 } }, delay: 'PT3M' }, do: tasksOf(handler) },
  },
  minutes: 2 * sum(list) + 3 + sum(handler),
});

const limited = (list: readonly Timed[], limit: number): Timed => ({
  task: {
    try: [named({ timeout: { after: `PT${limit}M` }, do: tasksOf(list) })],
    catch: { do: [named({ set: '${ 1 }' })] },
  },
  minutes: Math.min(limit, sum(list)),
});

function forked(lists: readonly (readonly Timed[])[], compete: boolean): Timed {
  const branches = lists.map(group);
  const all = branches.map(({ minutes }) => minutes);
  return {
    task: { fork: { compete, branches: branches.map(({ task }) => named(task)) } },
    minutes: compete ? Math.min(...all) : Math.max(...all),
  };
}

const { tasks } = fc.letrec<{ tasks: Timed[]; task: Timed }>((tie) => ({
  tasks: fc.array(tie('task'), { minLength: 1, maxLength: 3 }),
  task: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'flow' },
    {
      weight: 4,
      arbitrary: fc.integer({ min: 1, max: 60 }).map((minutes) => ({ task: { wait: `PT${minutes}M` }, minutes })),
    },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 2 }).map(call) },
    { weight: 1, arbitrary: tie('tasks').map(group) },
    {
      weight: 2,
      arbitrary: fc
        .record({
          list: tie('tasks'),
          concurrency: fc.integer({ min: 1, max: 3 }),
          batchSize: fc.constantFrom(1, 2, 9),
        })
        .map(({ list, ...metadata }) => loop(list, metadata)),
    },
    {
      weight: 4,
      arbitrary: fc
        .record({ lists: fc.array(tie('tasks'), { minLength: 2, maxLength: 3 }), compete: fc.boolean() })
        .map(({ lists, compete }) => forked(lists, compete)),
    },
    { weight: 2, arbitrary: fc.tuple(tie('tasks'), tie('tasks')).map(([list, handler]) => tried(list, handler)) },
    {
      weight: 2,
      arbitrary: fc.tuple(tie('tasks'), fc.integer({ min: 1, max: 90 })).map(([list, limit]) => limited(list, limit)),
    },
  ),
}));

async function outcomeOn(worker: TestWorker, flow: JsonObject) {
  const { status, skippedMs = 0, error } = await dryRunOn(worker, flow);
  return { status, minutes: skippedMs / 60_000, ...(error === undefined ? {} : { error }) };
}

/** `BLW_RANDOM_FLOWS=25` looks for what the fixed flows of every day do not have. */
const { BLW_RANDOM_FLOWS } = process.env;
const RUNS = BLW_RANDOM_FLOWS === undefined ? { numRuns: 5, seed: 1 } : { numRuns: Number(BLW_RANDOM_FLOWS) };

test('a dry run takes the time that the shape of the flow says, whatever its histories', async () => {
  await fc.assert(
    fc.asyncProperty(tasks, async (list) => {
      const flow = { ...flowOf('do: []'), do: tasksOf(list) };
      const outcomes = await Promise.all([outcomeOn(long, flow), outcomeOn(short, flow)]);
      const expected = { status: 'completed', minutes: sum(list) };
      expect(outcomes).toEqual([expected, expected]);
    }),
    { ...RUNS, endOnFailure: true },
  );
}, 600_000);
