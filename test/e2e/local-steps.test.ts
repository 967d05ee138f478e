import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import type { Json, JsonObject } from '../../src/dsl/json';
import { LOCAL_ATTEMPT_MS } from '../../src/dsl/local-step';
import { TRY_STEPS } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { readsIn } from '../../src/dsl/read-ahead/read-ahead';
import type { AnswerTogether } from '../../src/dsl/steps-together';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

const servers = new LoopbackServers();
let server: LoopbackServer;
let folder: string;
let worker: TestWorker;
/** Status codes of the next answers; 200 where there are none left. */
const statuses: number[] = [];
/** Answers that are held back until they are let go. */
let held: (() => void)[] = [];
const logged: Record<string, unknown>[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  server = await servers.http(({ url = '' }, response) => {
    const answer = () => {
      response.writeHead(statuses.shift() ?? 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ number: server.requests.length }));
    };
    if (url.startsWith('/still') && server.requests.length === 1) standStill();
    if (url.startsWith('/wait') || (url.startsWith('/held') && server.requests.length === 1)) held.push(answer);
    else answer();
  });
  worker = await startTestWorker(
    {
      'blob-root': join(folder, 'blobs'),
      database: [`shop=sqlite:${join(folder, 'shop.db')}`],
      'io-pool-size': '2',
      dispatch: 'auto',
    },
    testTemporal(),
    { log: (_level, message, fields) => logged.push({ message, ...fields }) },
  );
});
beforeEach(() => {
  server.requests.length = 0;
  statuses.length = 0;
  logged.length = 0;
  for (const answer of held.splice(0)) answer();
});
afterAll(async () => {
  for (const answer of held) answer();
  held = [];
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const RETRY = 'retry: { initialInterval: { milliseconds: 10 }, maximumAttempts: 3 }';

/** Keeps the process of the test, which is the worker's, for longer than an attempt in place has. */
const standStill = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCAL_ATTEMPT_MS * 1.5);

/** A step that reads from the server. */
const read = (name: string, metadata: string, path = '/') =>
  `  - ${name}:
      call: http
      with: { method: get, endpoint: '${server.origin}${path}' }
      metadata: { ${metadata} }`;

/** Type of the local activity that a marker is for. */
const typeOf = ({ markerRecordedEventAttributes: marker }: HistoryEvent): string => {
  const data = marker?.details?.data?.payloads?.[0]?.data;
  return data == null ? '' : String(JSON.parse(Buffer.from(data).toString('utf8')).activity_type);
};

/** What a history has of steps: `local http.request`, `ahead` for each that was read with it, `together` for each that began with others, or `queue http.request`. */
const dispatched = async (handle: WorkflowHandle) => {
  const { events = [] } = await handle.fetchHistory();
  return (events ?? []).flatMap((event) => {
    const { activityTaskScheduledEventAttributes: queued } = event;
    if (queued != null) return [`queue ${queued.activityType?.name}`];
    const type = typeOf(event);
    const data = event.markerRecordedEventAttributes?.details?.result?.payloads?.[0]?.data;
    const result: unknown = data == null ? undefined : JSON.parse(Buffer.from(data).toString('utf8'));
    if (type === TRY_STEPS) return (result as AnswerTogether[]).map(() => 'together');
    if (!type.includes('.')) return [];
    const ahead = readsIn(result);
    return [`local ${type}`, ...ahead.map(() => 'ahead')];
  });
};

/** Workflow tasks that local activities of a type ended in, in their order. */
const tasksOf = async (handle: WorkflowHandle, type: string): Promise<number[]> => {
  const { events = [] } = await handle.fetchHistory();
  const own = (events ?? []).filter((event) => typeOf(event) === type);
  return own.map(({ markerRecordedEventAttributes: marker }) => Number(marker?.workflowTaskCompletedEventId));
};

const run = async (flow: JsonObject | string, input: Json = null) => {
  const handle = await worker.start(flow, input);
  const output = await handle.result();
  return { handle, output, dispatched: await dispatched(handle) };
};

const stepsOf = async (handle: WorkflowHandle) => ((await handle.query('progress')) as FlowProgress).steps;

const replay = async (handle: WorkflowHandle) =>
  await Worker.runReplayHistory(
    { workflowBundle: { codePath: WORKFLOW_BUNDLE } },
    await handle.fetchHistory(),
    handle.workflowId,
  );

describe('a step with metadata.dispatch: local', () => {
  test('runs in place: with the checks, the log and the result of any other', async () => {
    const { handle, output, dispatched } = await run(
      `do:\n${read('one', 'dispatch: local')}\n${read('two', 'dispatch: local')}`,
    );
    expect(dispatched).toEqual(['local http.request', 'ahead']);
    expect(output).toEqual({ number: 2 });
    expect((await stepsOf(handle)).map(({ status, attempts }) => ({ status, attempts }))).toEqual([
      { status: 'completed', attempts: 1 },
      { status: 'completed', attempts: 1 },
    ]);
    const lines = logged.filter(({ message }) => message === 'step completed');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ block_type: 'http.request', dispatch: 'local', status: 'completed', attempt: 1 });
  });

  test('is denied what it is denied in the queue', async () => {
    const handle = await worker.start(`do:
  - one: { call: http, with: { method: get, endpoint: 'http://169.254.169.254/' }, metadata: { dispatch: local } }`);
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'BLW_HTTP_HOST_DENIED' } });
    expect(await dispatched(handle)).toEqual(['local http.request']);
  });

  test('goes to its queue for a further attempt, after the pause and with the number that is next', async () => {
    statuses.push(503, 503);
    const { handle, output, dispatched } = await run(`do:\n${read('one', `dispatch: local, ${RETRY}`)}`);
    expect(dispatched).toEqual(['local http.request', 'queue http.request']);
    expect(output).toEqual({ number: 3 });
    expect((await stepsOf(handle))[0]).toMatchObject({ status: 'completed', attempts: 3 });
    const attempts = logged.filter(({ message }) => String(message).startsWith('step '));
    expect(attempts.map(({ status, attempt, dispatch = 'queue' }) => [status, attempt, dispatch])).toEqual([
      ['failed', 1, 'local'],
      ['failed', 2, 'queue'],
      ['completed', 3, 'queue'],
    ]);
  });

  test('has no more attempts than its retry policy says', async () => {
    statuses.push(503, 503, 503, 503);
    const handle = await worker.start(`do:\n${read('one', `dispatch: local, ${RETRY}`)}`);
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'BLW_HTTP_STATUS' } });
    expect(server.requests).toHaveLength(3);
    expect((await stepsOf(handle))[0]).toMatchObject({ status: 'failed', attempts: 3 });
  });

  test('fails where it is for good, without another attempt', async () => {
    statuses.push(404);
    const handle = await worker.start(`do:\n${read('one', `dispatch: local, ${RETRY}`)}`);
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'BLW_HTTP_STATUS' } });
    expect(server.requests).toHaveLength(1);
    expect((await stepsOf(handle))[0]).toMatchObject({ status: 'failed', attempts: 1 });
  });

  test('fails with what it failed with where the pause would outlast its time, as in the queue', async () => {
    const errors: unknown[] = [];
    for (const dispatch of ['local', 'queue']) {
      server.requests.length = 0;
      statuses.push(503);
      const metadata = `dispatch: ${dispatch}, retry: { initialInterval: { hours: 1 }, maximumAttempts: 3 }`;
      const handle = await worker.start(`do:\n${read('one', metadata)}\n      timeout: { after: { seconds: 20 } }`);
      errors.push(await errorOf(handle));
    }
    expect(errors[0]).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 503 });
    expect(errors[1]).toEqual(errors[0]);
  });

  test.each([
    ['it takes longer than a moment', '/held', 'maximumAttempts: 3'],
    ['it takes longer than a moment, and has one attempt', '/held', 'maximumAttempts: 1'],
    ['its worker stands still, without a pause', '/still', 'initialInterval: { hours: 1 }'],
    ['its worker stands still, and it has one attempt', '/still', 'maximumAttempts: 1'],
  ])('goes to its queue where %s', async (_, path, retry) => {
    const { output, dispatched, handle } = await run(
      `do:\n${read('one', `dispatch: local, retry: { ${retry} }`, path)}`,
    );
    expect(dispatched).toEqual(['local http.request', 'queue http.request']);
    expect(output).toEqual({ number: 2 });
    await replay(handle);
    expect((await stepsOf(handle))[0]).toMatchObject({ status: 'completed', attempts: 1 });
  });

  test('writes only what no answer out of the history decides', async () => {
    const put = (name: string) =>
      `  - ${name}: { call: fs.put, with: { path: local/${name}.json, content: '\${ input }' }, metadata: { dispatch: local } }`;
    const { dispatched } = await run(
      `do:\n${put('first')}\n${put('second')}\n${read('one', 'dispatch: local')}\n${put('third')}\n${put('fourth')}`,
      { some: 'thing' },
    );
    expect(dispatched).toEqual([
      'local fs.put',
      'local fs.put',
      'local http.request',
      'local fs.put',
      'queue fs.put',
      'local fs.put',
    ]);
  });

  const PUT =
    "  - put: { call: fs.put, with: { path: local/put, content: '${ input }' }, metadata: { dispatch: local } }";
  const local = (step: string) => `  - before: { ${step}, metadata: { dispatch: local } }`;
  const transact = (statement: string) =>
    local(`call: sql.transaction, with: { database: shop, statements: [{ statement: '${statement}' }] }`);
  const remove = (path: string, more = '') => local(`call: fs.delete, with: { path: local/${path}${more} }`);
  const makes = (path: string) => `  - there: { call: fs.put, with: { path: local/${path}, content: x } }`;

  test.each([
    ['a blob that was there is deleted', [makes('there'), remove('there'), PUT], 'local'],
    ['no blob was there to delete', [remove('none', ', ifMissing: ignore'), PUT], 'queue'],
    ['a transaction has written', [transact('INSERT INTO seen (x) VALUES (1)'), PUT], 'local'],
    ['a transaction has only read', [transact('SELECT 1'), PUT], 'queue'],
    [
      'a step has failed',
      [`  - outer:\n      try:\n    ${remove('none')}\n      catch:\n        do:\n        ${PUT}`],
      'queue',
    ],
    ['a time was told', ["  - time: { set: { at: '${ task.startedAt.iso8601 }' } }", PUT], 'queue'],
    [
      'the time of an earlier workflow task was told',
      ["  - time: { set: { at: '${ task.startedAt.iso8601 }' } }", '  - pause: { wait: { milliseconds: 1 } }', PUT],
      'local',
    ],
    ['only the name of a task was told', ["  - name: { set: { name: '${ task.name }' } }", PUT], 'local'],
  ])('has its effect where the history can tell it again: %s', async (_, steps, way) => {
    await worker.run(
      "do: [{ make: { call: sql.execute, with: { database: shop, statement: 'CREATE TABLE IF NOT EXISTS seen (x INTEGER)' } } }]",
    );
    const { dispatched } = await run(`do:\n${steps.join('\n')}`, 'x');
    expect(dispatched.at(-1)).toBe(`${way} fs.put`);
  });

  test.each([
    [
      'an event goes out',
      'emitEvent',
      (one: string) => `do:\n${one}\n  - tell: { emit: { event: { with: { type: read } } } }`,
    ],
    [
      'a flow listens that has heard of it',
      'subscribeEvents',
      (one: string) =>
        `do:\n${one}\n  - hear: { listen: { to: { one: { with: { type: never } } } }, timeout: { after: PT1S } }`,
    ],
  ])('is in the history before %s', async (_, type, flow) => {
    const handle = await worker.start(flow(read('one', 'dispatch: local')));
    await handle.result().catch(() => undefined);
    const [readIn = 0] = await tasksOf(handle, 'http.request');
    const [refusedIn, doneIn = 0] = await tasksOf(handle, type);
    expect(refusedIn).toBe(readIn);
    expect(doneIn).toBeGreaterThan(readIn);
    await Worker.runReplayHistory(
      { workflowBundle: { codePath: WORKFLOW_BUNDLE } },
      await handle.fetchHistory(),
      handle.workflowId,
    );
  });

  test('finds the effect of an earlier attempt, as in the queue', async () => {
    const flow = `do:
  - make: { call: sql.execute, with: { database: shop, statement: 'CREATE TABLE IF NOT EXISTS t (x INTEGER)' } }
  - add: { call: sql.execute, with: { database: shop, statement: 'INSERT INTO t (x) VALUES (1)' }, metadata: { dispatch: local } }
  - count: { call: sql.query, with: { database: shop, statement: 'SELECT count(*) AS n FROM t' }, output: { as: data.rows } }`;
    const { dispatched, output, handle } = await run(flow);
    expect(dispatched).toEqual(['queue sql.execute', 'local sql.execute', 'queue sql.query']);
    expect(output).toEqual([{ n: 1 }]);
    // The same key again, as after a reset.
    const again = await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: handle.workflowId,
      args: [{ flow: flowOf(flow) }],
    });
    expect(await again.result()).toEqual([{ n: 1 }]);
  });

  test('replays', async () => {
    statuses.push(503);
    const { handle } = await run(`do:\n${read('one', `dispatch: local, ${RETRY}`)}\n${read('two', 'dispatch: local')}`);
    await replay(handle);
  });

  test('of a fork of many branches runs once each, within the places of the pool', async () => {
    const branches = Array.from({ length: 40 }, (_, index) =>
      read(`b${index}`, 'dispatch: local').replace(/^/gm, '        '),
    );
    const { dispatched } = await run(`do:\n  - all:\n      fork:\n        branches:\n${branches.join('\n')}`);
    expect(server.requests).toHaveLength(40);
    expect(dispatched.filter((way) => way === 'together')).toHaveLength(40);
    expect(dispatched.length).toBeGreaterThanOrEqual(40);
  });
});

describe('a step of which nothing is said', () => {
  const flow = (name: string, metadata = RETRY, method = 'get'): JsonObject => ({
    ...flowOf(`do:\n${read('one', metadata).replace('method: get', `method: ${method}`)}`),
    document: { dsl: '1.0.3', namespace: 'test', name, version: '1.0.0' },
  });

  test('runs in its queue until its worker knows it to be quick, then in place', async () => {
    const ways: string[] = [];
    for (let times = 0; times < 4; times += 1) ways.push(...(await run(flow('known'))).dispatched);
    expect(ways).toEqual([...Array(3).fill('queue http.request'), 'local http.request']);
  });

  test('changes over within a loop', async () => {
    const { dispatched } = await run(`do:
  - all:
      for: { in: '[1, 2, 3, 4, 5, 6]' }
      do:
${read('one', RETRY).replace(/^/gm, '      ')}`);
    expect(dispatched).toEqual([...Array(3).fill('queue http.request'), 'local http.request', 'ahead', 'ahead']);
  });

  test.each([
    ['its author says queue', 'dispatch: queue'],
    ['it has one attempt only', 'retry: { maximumAttempts: 1 }'],
    ['it runs in another pool', 'resources: cpu'],
  ])('stays in its queue where %s', async (why, metadata) => {
    const name = `queue${why.length}`;
    const ways: string[] = [];
    for (let times = 0; times < 5; times += 1) ways.push(...(await run(flow(name, metadata))).dispatched);
    expect(ways).toEqual(Array(5).fill('queue http.request'));
  });

  test('stays in its queue where it changes something', async () => {
    const post = flow('changes', RETRY, 'put');
    const ways: string[] = [];
    for (let times = 0; times < 5; times += 1) ways.push(...(await run(post)).dispatched);
    expect(ways).toEqual(Array(5).fill('queue http.request'));
  });

  // The last one: where there are other tenants, the others would be held in place for a moment only.
  test('runs in its queue where other tenants take all places, without being tried in place', async () => {
    for (let times = 0; times < 4; times += 1) await run(flow('crowded'));
    server.requests.length = 0;
    const branches = ['a', 'b'].map((name) => read(name, 'dispatch: queue', '/wait').replace(/^/gm, '        '));
    const others = await worker.start(`do:\n  - all:\n      fork:\n        branches:\n${branches.join('\n')}`, null, {
      tenant: 'other',
    });
    await eventually(async () => (held.length === 2 ? true : undefined));
    const handle = await worker.start(flow('crowded'));
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'running'));
    for (const answer of held.splice(0)) answer();
    await Promise.all([handle.result(), others.result()]);
    expect(await dispatched(handle)).toEqual(['queue http.request']);
  });
});
