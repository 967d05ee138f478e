import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { LoopbackServers } from '../helpers/loopback';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Flows of every shape, with histories of a few events and with one history: the same output and the same effects. */
let server: TemporalServer;
let short: TestWorker;
let long: TestWorker;
let origin = '';
const loopback = new LoopbackServers();
/** Idempotency keys in the order in which they came. */
const effects: string[] = [];
beforeAll(async () => {
  server = await startTemporalOfShortHistories(12);
  [short, long] = [await startTestWorker({}, server), await startTestWorker()];
  ({ origin } = await loopback.http(({ headers }, response) => {
    effects.push(String(headers['idempotency-key']));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }));
}, 30_000);
afterAll(async () => {
  await loopback.close();
  await Promise.all([short.stop(), long.stop()]);
  await server.stop();
});

type Task = JsonObject;

/** Names a task anew, so that lists, also nested ones, have no two of a name. */
let names = 0;
const named = (task: Task): Task => {
  names += 1;
  return { [`t${names}`]: task };
};

const call = (): Task => ({
  call: 'http',
  with: { method: 'post', endpoint: `${origin}/`, body: {} },
  output: { as: '${ input + 1 }' },
  metadata: {
    compensate: [{ undo: { call: 'http', with: { method: 'post', endpoint: `${origin}/undo`, body: {} } } }],
  },
});
/** Reads the output of the step before it by name. */
const withRead = (task: Task): Task[] => {
  const first = named(task);
  return [first, named({ set: `\${ steps.${Object.keys(first)[0]}.output + data }` })];
};
/** A directive; an object that is written with the key would look like a promise. */
const goTo = (name: string): JsonObject => Object.fromEntries([['then', name]]);
const ENDS = '${ data.size() == 0 ? 0 : data[0] + 2 * data[data.size() - 1] }';

const { tasks } = fc.letrec<{ tasks: Task[]; task: Task[] }>((tie) => ({
  tasks: fc.array(tie('task'), { minLength: 1, maxLength: 3 }).map((lists) => lists.flat()),
  task: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'flow' },
    { weight: 3, arbitrary: fc.constant(0).map(() => [named(call())]) },
    { weight: 1, arbitrary: fc.constant(0).map(() => withRead(call())) },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named({ wait: 'PT0.01S' })]) },
    { weight: 2, arbitrary: tie('tasks').map((list) => [named({ do: list })]) },
    { weight: 2, arbitrary: tie('tasks').map((list) => [named({ for: { in: '[1, 2, 3]' }, do: list })]) },
    {
      weight: 2,
      arbitrary: fc
        .record({ list: tie('tasks'), concurrency: fc.integer({ min: 1, max: 3 }), batchSize: fc.constantFrom(2, 9) })
        .map(({ list, ...metadata }) => [
          named({ for: { in: '[1, 2, 3]' }, do: list, metadata, output: { as: ENDS } }),
        ]),
    },
    {
      weight: 3,
      arbitrary: fc
        .array(tie('tasks'), { minLength: 2, maxLength: 3 })
        .map((lists) => [
          named({ fork: { branches: lists.map((list) => named({ do: list })) }, output: { as: ENDS } }),
        ]),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(tie('tasks'), tie('tasks')).map(([list, handler]) => [
        named({
          timeout: { after: 'PT1M' },
          try: [...list, named({ raise: { error: { type: 'https://x.test/e', status: 500 } } })],
          catch: { retry: { limit: { attempt: { count: 1 } }, delay: 'PT0.01S' }, do: handler },
        }),
      ]),
    },
    {
      weight: 1,
      arbitrary: tie('tasks').map((list) => {
        const body = named({ do: list });
        const [name = ''] = Object.keys(body);
        const again = named({ switch: [{ again: { when: 'data < 6', ...goTo(name) } }, { enough: goTo('exit') }] });
        return [named({ do: [body, named({ set: '${ data + 1 }' }), again] })];
      }),
    },
  ),
}));

const WAIT = '/do/2/rest';

/** Without the flow's own id. */
const keysOf = (flowId: string): string[] =>
  effects.filter((key) => key.includes(`:${flowId}:`)).map((key) => key.split(`:${flowId}:`)[1] ?? '');

async function outcomeOn(worker: TestWorker, flow: JsonObject): Promise<{ output: Json; keys: string[] }> {
  const handle = await worker.start(flow, 0);
  const output = (await handle.result()) as Json;
  return { output, keys: keysOf(handle.workflowId).sort() };
}

const flowWith = (list: Task[]): JsonObject => ({ ...flowOf('do: []'), do: list });
/** `BLW_RANDOM_FLOWS=25` looks for what the fixed flows of every day do not have. */
const { BLW_RANDOM_FLOWS } = process.env;
const RUNS = BLW_RANDOM_FLOWS === undefined ? { numRuns: 5, seed: 1 } : { numRuns: Number(BLW_RANDOM_FLOWS) };

test('a flow has the same output and effects, whatever its histories', async () => {
  await fc.assert(
    fc.asyncProperty(tasks, async (list) => {
      const flow = flowWith(list);
      const [expected, actual] = await Promise.all([outcomeOn(long, flow), outcomeOn(short, flow)]);
      expect(actual).toEqual(expected);
    }),
    { ...RUNS, endOnFailure: true },
  );
}, 600_000);

test('a flow that is cancelled at any moment undoes each step once', async () => {
  await fc.assert(
    fc.asyncProperty(tasks, fc.integer({ min: 1, max: 30 }), async (list, count) => {
      const loop = named({ for: { in: '[1, 2, 3]' }, do: list });
      const handle = await short.start(flowWith([loop, named(call()), { rest: { wait: 'PT1H' } }]), 0);
      await progressWhen(handle, ({ steps, stepsStarted }) => stepsStarted > count || steps.at(-1)?.id === WAIT);
      await handle.cancel();
      await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      const keys = keysOf(handle.workflowId);
      const undone = keys
        .filter((key) => key.includes('/compensate/'))
        .map((key) => key.replace('/metadata/compensate/0/undo', ''));
      const done = new Set(keys.filter((key) => !key.includes('/compensate/')));
      expect(new Set(undone).size).toBe(undone.length);
      for (const key of undone) expect(done).toContain(key);
      // Those that were running when the cancellation came: whether they are done is not known.
      expect(done.size - undone.length).toBeLessThanOrEqual(27);
    }),
    { ...RUNS, endOnFailure: true },
  );
}, 600_000);
