import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/dsl/json';
import { TRY_STEPS } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { readsIn } from '../../src/dsl/read-ahead/read-ahead';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { runInProcess } from '../helpers/cli-in-process';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { readable } from '../helpers/raw-history';
import { testTemporal } from '../helpers/temporal';
import { errorOf, flowOf, openApproval, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SECRET = 'tok-5e/c+r=et';

const servers = new LoopbackServers();
let server: LoopbackServer;
let worker: TestWorker;
/** Status codes of the answers to a path, before the first 200. */
const statuses = new Map<string, number[]>();

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));

beforeAll(async () => {
  // Answers with a number that depends on what it is asked.
  server = await servers.http(({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://any');
    if (pathname.startsWith('/never')) return;
    response.writeHead(statuses.get(pathname)?.shift() ?? 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path: pathname, n: (Number(searchParams.get('v') ?? 0) * 3 + 1) % 17 }));
  });
  writeFileSync(join(folder, 'token'), SECRET);
  worker = await startTestWorker({ dispatch: 'auto', secret: [`token=file:${join(folder, 'token')}`] });
});
beforeEach(() => {
  server.requests.length = 0;
  statuses.clear();
});
afterAll(async () => {
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A step that reads from the server; `v` is an expression. */
const get = (name: string, path: string, { v, more = '', metadata = 'dispatch: local' }: Options = {}) => {
  const endpoint = v === undefined ? `${server.origin}${path}` : `\${ '${server.origin}${path}?v=' + string(${v}) }`;
  return `{ ${name}: { call: http, with: { method: get, endpoint: "${endpoint}" }, metadata: { ${metadata} }${more} } }`;
};
interface Options {
  readonly v?: string;
  readonly more?: string;
  readonly metadata?: string;
}

const historyOf = async (handle: WorkflowHandle): Promise<temporal.api.history.v1.IHistoryEvent[]> =>
  (await handle.fetchHistory()).events ?? [];

const json = (payload: { data?: Uint8Array | null } | null | undefined): unknown =>
  payload?.data == null ? undefined : JSON.parse(Buffer.from(payload.data).toString('utf8'));

/** How the history has the answers to steps: with `+`, read ahead within the record before. */
const recorded = async (handle: WorkflowHandle): Promise<string[]> =>
  (await historyOf(handle)).flatMap((event) => {
    const { activityTaskScheduledEventAttributes: queued, markerRecordedEventAttributes: marker } = event;
    if (queued != null) return [`queue ${(json(queued.input?.payloads?.[0]) as JsonObject).stepId}`];
    const type = String((json(marker?.details?.data?.payloads?.[0]) as JsonObject | undefined)?.activity_type ?? '');
    const result = json(marker?.details?.result?.payloads?.[0]);
    // Steps that began together, each with what was read after it.
    const results = type === TRY_STEPS ? (result as JsonObject[]).map((answer) => answer.result) : [result];
    if (type !== TRY_STEPS && !type.includes('.')) return [];
    return results.flatMap((one) => ['http.request', ...readsIn(one).map(({ step }) => `+${step}`)]);
  });

const urls = () => server.requests.map(({ url }) => url);

const replay = async (handle: WorkflowHandle) =>
  await Worker.runReplayHistory(
    { workflowBundle: { codePath: WORKFLOW_BUNDLE } },
    await handle.fetchHistory(),
    handle.workflowId,
  );

const run = async (flow: JsonObject | string, input: Json = null) => {
  const handle = await worker.start(flow, input);
  const output = (await handle.result()) as Json;
  return { handle, output, recorded: await recorded(handle) };
};

/** The same, again where the machine was so busy that the time to read ahead was over. `begin` prepares each try. */
const runRecorded = async (expected: readonly string[], flow: string, begin: () => void = () => undefined) => {
  for (let left = 5; ; left -= 1) {
    server.requests.length = 0;
    begin();
    const result = await run(flow);
    if (left === 0 || isDeepStrictEqual(result.recorded, expected)) return result;
  }
};

describe('steps that read, one after the other', () => {
  test('are recorded at once, each with the arguments that the answers before it give', async () => {
    const expected = ['http.request', '+/do/1/b', '+/do/3/d'];
    const { handle, output, recorded } = await runRecorded(
      expected,
      `do:
  - ${get('a', '/a?v=1')}
  - ${get('b', '/b', { v: 'data.n', more: ", output: { as: '${ data.n }' }, export: { as: '${ {\"b\": data} }' }" })}
  - c: { set: '\${ context.b + 1 }' }
  - ${get('d', '/d', { v: 'data + steps.a.output.n' })}`,
    );
    expect(urls()).toEqual(['/a?v=1', '/b?v=4', '/d?v=18']);
    expect(output).toEqual({ path: '/d', n: 4 });
    expect(recorded).toEqual(expected);
    const { steps } = await handle.query<FlowProgress>('progress');
    expect(steps.map(({ name, status, attempts }) => [name, status, attempts])).toEqual([
      ['a', 'completed', 1],
      ['b', 'completed', 1],
      ['c', 'completed', undefined],
      ['d', 'completed', 1],
    ]);
    const times = steps.flatMap(({ startedAt, endedAt = 0 }) => [startedAt, endedAt]);
    expect(times.filter((_, index) => index < 4)).toEqual([...times.slice(0, 4)].sort((left, right) => left - right));
    await replay(handle);
  });

  test('are read through conditions, cases, groups, loops and tries', async () => {
    const { handle, output, recorded } = await run(
      `do:
  - ${get('a', '/a')}
  - ${get('no', '/no', { more: ", if: '${ data.n > 100 }'" })}
  - which: { switch: [{ big: { when: 'data.n > 100', then: never } }, { small: { then: loop } }] }
  - ${get('never', '/never')}
  - loop:
      for: { each: item, in: workflow.input }
      do:
        - g: { do: [${get('b', '/b', { v: 'item' })}, ${get('c', '/c', { v: 'data.n' })}] }
  - t: { try: [${get('e', '/e')}], catch: { do: [{ x: { set: { caught: true } } }] } }
  - ${get('f', '/f')}`,
      [1, 2],
    );
    expect(urls()).toEqual(['/a', '/b?v=1', '/c?v=4', '/b?v=2', '/c?v=7', '/e', '/f']);
    expect(output).toMatchObject({ path: '/f' });
    expect(recorded.filter((text) => text.startsWith('+')).length).toBeGreaterThan(2);
    await replay(handle);
  });

  test('are not read across what takes time, has an effect or stays in its queue', async () => {
    const { recorded } = await run(`do:
  - ${get('a', '/a')}
  - w: { wait: PT0.01S }
  - ${get('b', '/b')}
  - post: { call: http, with: { method: post, endpoint: '${server.origin}/post' } }
  - ${get('c', '/c')}
  - ${get('d', '/d', { metadata: 'dispatch: queue' })}
  - ${get('e', '/e')}`);
    expect(urls()).toEqual(['/a', '/b', '/post', '/c', '/d', '/e']);
    expect(recorded).toEqual([
      'http.request',
      'http.request',
      'queue /do/3/post',
      'http.request',
      'queue /do/5/d',
      'http.request',
    ]);
  });

  test('are read one at a time where others run beside them that may change the context', async () => {
    const ahead = '+/do/1/f/fork/branches/1/others/do/1/e';
    const { handle, output, recorded } = await runRecorded(
      ['http.request', 'http.request', ahead, ...Array(2).fill('http.request')],
      `do:
  - keep: { set: { n: 1 }, export: { as: '\${ data }' } }
  - f:
      fork:
        branches:
          - reads: { do: [${get('a', '/a')}, ${get('b', '/b', { v: 'context.n' })}, ${get('c', '/c', { v: 'context.n' })}] }
          - others: { do: [${get('d', '/d')}, ${get('e', '/e', { v: 'data.n' })}] }
          - other: { set: { n: 2 }, export: { as: '\${ data }' } }`,
    );
    // What one branch makes of the context depends on how far the others are, and that may be another thing in a replay.
    expect(urls().filter((url) => url?.startsWith('/b'))).toEqual(['/b?v=2']);
    expect(recorded.filter((text) => text.startsWith('+'))).toEqual([ahead]);
    expect(output).toMatchObject([{ path: '/c' }, { path: '/e' }, { n: 2 }]);
    await replay(handle);
  });

  test('are read again after a person was asked, whatever was foreseen', async () => {
    const handle = await worker.start(
      `do:
  - ${get('a', '/a')}
  - ask: { if: '\${ workflow.input.asks }', call: human.approval, with: { title: Sure? } }
  - ${get('b', '/b')}`,
      { asks: true },
    );
    const approval = await openApproval(worker.client, handle);
    expect(urls()).toEqual(['/a']);
    await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'ann' }] });
    expect(await handle.result()).toMatchObject({ path: '/b' });
    expect(urls()).toEqual(['/a', '/b']);
  });

  test('cost a step nothing of its own time', async () => {
    const { output, recorded } = await run(`do:
  - ${get('a', '/a', { more: ', timeout: { after: PT0.3S }' })}
  - t:
      try: [${get('slow', '/never', { more: ', timeout: { after: PT0.9S }' })}]
      catch: { do: [{ x: { set: { caught: true } } }] }`);
    expect(output).toEqual({ caught: true });
    expect(recorded[0]).toBe('http.request');
    expect(urls().filter((url) => url === '/a')).toHaveLength(1);
  });

  test('are read in every round of a list that goes back', async () => {
    const flow = `do:
  - x: { set: '\${ has(data.round) ? {"round": data.round + 1} : {"round": 1} }', export: { as: '\${ data }' } }
  - ${get('p', '/p')}
  - ${get('q', '/q')}
  - again: { set: '\${ context }' }
  - s: { switch: [{ back: { when: 'data.round < 3', then: x } }, { enough: { then: exit } }] }`;
    const { handle, output } = await run(flow, {});
    expect(urls()).toEqual(['/p', '/q', '/p', '/q', '/p', '/q']);
    expect(output).toEqual({ round: 3 });
    await replay(handle);
  });

  test('show no secret, and have it', async () => {
    const expected = ['http.request', '+/do/1/b'];
    const { handle, recorded } = await runRecorded(
      expected,
      `use: { secrets: [token] }
do:
  - ${get('a', '/a')}
  - b:
      call: http
      with: { method: get, endpoint: '${server.origin}/b', headers: { x-token: '\${ secrets.token }' } }
      metadata: { dispatch: local }`,
    );
    expect(recorded).toEqual(expected);
    expect(server.requests.at(-1)?.headers['x-token']).toBe(SECRET);
    const text = (await historyOf(handle)).map((event) => readable(event)).join();
    expect(text).toContain('"x-token"');
    expect(text).not.toContain(SECRET);
  });
});

describe('a read ahead that fails', () => {
  const flow = () => `do: [${get('a', '/a')}, ${get('b', '/b')}, ${get('c', '/c')}]`;

  test('for good is the end of its step, is not asked for again, and is redriven from there', async () => {
    statuses.set('/b', [404]);
    const handle = await worker.start(flow());
    expect(await errorOf(handle)).toMatchObject({ instance: '/do/1/b', status: 404 });
    expect(urls()).toEqual(['/a', '/b']);
    await replay(handle);
    const { address, namespace } = testTemporal();
    const where = ['--address', address, '--namespace', namespace, '--blob-root', `${worker.folder}/blobs`];
    expect(await runInProcess(['redrive', handle.workflowId, ...where])).toMatchObject({ code: 0, stderr: '' });
    expect(await worker.client.workflow.getHandle(handle.workflowId).result()).toMatchObject({ path: '/c' });
  });

  test('is caught like any other', async () => {
    statuses.set('/b', [404]);
    const { output } = await run(`do:
  - ${get('a', '/a')}
  - t: { try: [${get('b', '/b')}], catch: { as: e, do: [{ x: { set: '\${ e.status }' } }] } }
  - y: { set: '\${ [data] }' }`);
    expect(output).toEqual([404]);
    expect(urls()).toEqual(['/a', '/b']);
  });

  test('for now goes to its queue, with the number that is next', async () => {
    const expected = ['http.request', '+/do/1/b', 'queue /do/1/b', 'http.request'];
    const { handle, output, recorded } = await runRecorded(
      expected,
      `do: [${get('a', '/a')}, ${get('b', '/b', { metadata: 'dispatch: local, retry: { initialInterval: PT0.01S }' })}, ${get('c', '/c')}]`,
      () => statuses.set('/b', [503]),
    );
    expect(output).toMatchObject({ path: '/c' });
    expect(urls()).toEqual(['/a', '/b', '/b', '/c']);
    expect(recorded).toEqual(expected);
    const { steps } = await handle.query<FlowProgress>('progress');
    expect(steps.map(({ attempts }) => attempts)).toEqual([1, 2, 1]);
    const [, { endedAt = 0 } = {}, { startedAt } = { startedAt: 0 }] = steps;
    expect(endedAt).toBeLessThanOrEqual(startedAt);
    expect(endedAt - (steps[1]?.startedAt ?? 0)).toBeGreaterThanOrEqual(10);
    await replay(handle);
  });
});

/** Names a task anew, so that lists, also nested ones, have no two of a name. */
let names = 0;
const named = (task: JsonObject): JsonObject => {
  names += 1;
  return { [`t${names}`]: task };
};
const NUMBER = '${ data.n }';
const call = (more: JsonObject = {}): JsonObject => ({
  call: 'http',
  with: { method: 'get', endpoint: `\${ '${server.origin}/x?v=' + string(data) }` },
  output: { as: NUMBER },
  ...more,
});
/** A directive; an object that is written with the key would look like a promise. */
const goTo = (name: string): JsonObject => Object.fromEntries([['then', name]]);

const { tasks } = fc.letrec<{ tasks: JsonObject[]; task: JsonObject[] }>((tie) => ({
  tasks: fc.array(tie('task'), { minLength: 1, maxLength: 4 }).map((lists) => lists.flat()),
  task: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'flow' },
    { weight: 5, arbitrary: fc.constant(0).map(() => [named(call())]) },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named(call({ if: '${ data % 2 == 0 }' }))]) },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named(call({ input: { from: '${ data + 1 }' } }))]) },
    {
      weight: 1,
      arbitrary: fc.constant(0).map(() => {
        const first = named(call());
        const [name = ''] = Object.keys(first);
        return [first, named({ set: `\${ steps.${name}.output + data }` })];
      }),
    },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named(call({ timeout: { after: 'PT10S' } }))]) },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named({ set: '${ data + 2 }' })]) },
    {
      weight: 1,
      arbitrary: fc.array(tie('tasks'), { minLength: 2, maxLength: 3 }).map((lists) => [
        named({
          fork: { branches: lists.map((list) => named({ do: list })) },
          output: { as: '${ data[0] + 2 * data[1] }' },
        }),
      ]),
    },
    { weight: 1, arbitrary: fc.constant(0).map(() => [named({ wait: 'PT0.001S' })]) },
    { weight: 2, arbitrary: tie('tasks').map((list) => [named({ do: list })]) },
    { weight: 2, arbitrary: tie('tasks').map((list) => [named({ for: { in: '[1, 2, 3]' }, do: list })]) },
    {
      weight: 1,
      arbitrary: tie('tasks').map((list) => [
        named({
          for: { in: '[1, 2]' },
          do: [...list, named({ set: '${ data + item }' })],
          output: { as: '${ data }' },
        }),
      ]),
    },
    {
      weight: 1,
      arbitrary: tie('tasks').map((list) => [
        named({ for: { in: '[1, 2, 3]' }, while: '${ data % 5 != 0 }', do: list }),
      ]),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(tie('tasks'), tie('tasks')).map(([list, handler]) => [
        named({
          try: [
            ...list,
            named({ raise: { error: { type: 'https://x.test/e', status: 500 } }, if: '${ data % 3 == 0 }' }),
          ],
          catch: { do: handler },
        }),
      ]),
    },
    {
      weight: 1,
      arbitrary: tie('tasks').map((list) => {
        const last = named(call());
        const [name = ''] = Object.keys(last);
        const cases = [
          { odd: { when: 'data % 2 == 1', ...goTo(name) } },
          { large: { when: 'data > 9', ...goTo('exit') } },
        ];
        return [named({ do: [named({ switch: cases }), ...list, last] })];
      }),
    },
  ),
}));

/** `BLW_RANDOM_FLOWS=100` looks for what the fixed flows of every day do not have. */
const { BLW_RANDOM_FLOWS } = process.env;
const RUNS = BLW_RANDOM_FLOWS === undefined ? { numRuns: 10, seed: 3 } : { numRuns: Number(BLW_RANDOM_FLOWS) };

test('flows of every shape read the same in the same order as in the queue, and nothing for nothing', async () => {
  let markers = 0;
  let ahead = 0;
  await fc.assert(
    fc.asyncProperty(tasks, async (list) => {
      const outcome = async (dispatch: 'local' | 'queue') => {
        server.requests.length = 0;
        const { document, ...rest } = flowOf('do: []');
        const flow = { document: { ...(document as JsonObject), metadata: { dispatch } }, ...rest, do: list };
        const { handle, output, recorded } = await run(flow, 1);
        // Branches beside each other have no order.
        const seen = JSON.stringify(list).includes('"fork"') ? urls().sort() : urls();
        return { handle, outcome: { output, urls: seen }, recorded };
      };
      const expected = await outcome('queue');
      const actual = await outcome('local');
      expect(actual.outcome).toEqual(expected.outcome);
      markers += actual.recorded.filter((text) => text === 'http.request').length;
      ahead += actual.recorded.filter((text) => text.startsWith('+')).length;
      await replay(actual.handle);
    }),
    { ...RUNS, endOnFailure: true },
  );
  expect(ahead).toBeGreaterThan(markers);
}, 600_000);
