import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import Database from 'better-sqlite3';
import type { Json, JsonObject } from '../../src/dsl/json';
import { LOCAL_ATTEMPT_MS } from '../../src/dsl/local-step';
import { TRY_STEPS } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { readsIn } from '../../src/dsl/read-ahead/read-ahead';
import type { StepResult } from '../../src/dsl/step-request';
import { type AnswerTogether, PLACE_MS, TURN_MS } from '../../src/dsl/steps-together';
import { replayDataConverter } from '../../src/worker/data-converter';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { runInProcess } from '../helpers/cli-in-process';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const servers = new LoopbackServers();
let server: LoopbackServer;
let worker: TestWorker;
/** Status codes of the answers to a path, before the first 200. */
const statuses = new Map<string, number[]>();
/** How many of the next answers to a path do not come before the end of the test. */
const silent = new Map<string, number>();
const held: (() => void)[] = [];
/** How long the answers to a path take, ms. */
const delays = new Map<string, number>();

beforeAll(async () => {
  server = await servers.http(({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://any');
    const answer = () => {
      response.writeHead(statuses.get(pathname)?.shift() ?? 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ path: pathname, text: 'x'.repeat(sizes.get(pathname) ?? 0) }));
    };
    const left = silent.get(pathname) ?? 0;
    silent.set(pathname, left - 1);
    if (left > 0) held.push(answer);
    else setTimeout(answer, delays.get(pathname) ?? 0);
  });
  worker = await startTestWorker({ dispatch: 'auto' });
});
/** Of texts in the answers to a path. */
const sizes = new Map<string, number>();
beforeEach(() => {
  server.requests.length = 0;
  statuses.clear();
  silent.clear();
  delays.clear();
  sizes.clear();
});
afterEach(() => {
  for (const answer of held.splice(0)) answer();
});
afterAll(async () => {
  await worker.stop();
  await servers.close();
});

/** A step that reads from the server: `{ name: ... }`. */
const get = (name: string, metadata = 'dispatch: local', more = '') =>
  `{ ${name}: { call: http, with: { method: get, endpoint: '${server.origin}/${name}' }, output: { as: '\${ data.path }' }, metadata: { ${metadata} }${more} } }`;

const forkOf = (branches: readonly string[], more = '') =>
  `{ f: { fork: { ${more} branches: [${branches.join(', ')}] } } }`;

const RETRY = 'dispatch: local, retry: { initialInterval: PT0.01S }';

const json = (payload: { data?: Uint8Array | null } | null | undefined): unknown =>
  payload?.data == null ? undefined : JSON.parse(Buffer.from(payload.data).toString('utf8'));

const eventsOf = async (handle: WorkflowHandle): Promise<temporal.api.history.v1.IHistoryEvent[]> =>
  (await handle.fetchHistory()).events ?? [];

const ahead = (result: StepResult | undefined) => readsIn(result).map(({ step }) => `+${lastOf(step)}`);
const lastOf = (path: string) => path.split('/').at(-1) ?? '';

/** What the history has of steps: the names of those in each record, with `+` those read ahead, or `queue name`. */
const recorded = async (handle: WorkflowHandle): Promise<string[]> =>
  (await eventsOf(handle)).flatMap((event) => {
    const { activityTaskScheduledEventAttributes: queued, markerRecordedEventAttributes: marker } = event;
    if (queued != null) return [`queue ${lastOf(String((json(queued.input?.payloads?.[0]) as JsonObject).stepId))}`];
    const type = String((json(marker?.details?.data?.payloads?.[0]) as JsonObject | undefined)?.activity_type ?? '');
    const result = json(marker?.details?.result?.payloads?.[0]);
    if (type === TRY_STEPS) {
      // What is large is a claim.
      const answers = Array.isArray(result) ? (result as AnswerTogether[]) : [];
      const names = answers.flatMap((answer) => [
        lastOf(answer.step),
        ...('result' in answer ? ahead(answer.result) : []),
      ]);
      return [`together ${names.join(' ')}`];
    }
    return type.includes('.') ? [['alone', ...ahead(result as StepResult | undefined)].join(' ')] : [];
  });

const paths = () => server.requests.map(({ url }) => url);

const replay = async (handle: WorkflowHandle) =>
  await Worker.runReplayHistory(
    {
      workflowBundle: { codePath: WORKFLOW_BUNDLE },
      dataConverter: replayDataConverter({ blobRoot: `${worker.folder}/blobs`, namespace: testTemporal().namespace }),
    },
    await handle.fetchHistory(),
    handle.workflowId,
  );

const attemptsOf = async (handle: WorkflowHandle) => {
  const { steps } = await handle.query<FlowProgress>('progress');
  return Object.fromEntries(steps.map(({ name, status, attempts }) => [name, [status, attempts]]));
};

/** Runs a flow to its end; its history has to replay. */
const run = async (steps: readonly string[], input: Json = null) => {
  const handle = await worker.start(`do: [${steps.join(', ')}]`, input);
  const output = (await handle.result()) as Json;
  await replay(handle);
  return { handle, output, recorded: await recorded(handle) };
};

describe('reads that begin together', () => {
  test('are one record, and each branch has its own result', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const { handle, output, recorded } = await run([forkOf(names.map((name) => get(name)))]);
    expect(recorded).toEqual(['together a b c d e']);
    expect(output).toEqual(['/a', '/b', '/c', '/d', '/e']);
    expect(paths().sort()).toEqual(['/a', '/b', '/c', '/d', '/e']);
    expect(await attemptsOf(handle)).toMatchObject({ a: ['completed', 1], e: ['completed', 1] });
  });

  test('are those of forks within branches too, and of groups and loops', async () => {
    const { output, recorded } = await run([
      forkOf([
        get('a'),
        `{ g: { do: [${forkOf([get('b'), get('c')])}] } }`,
        `{ h: { do: [{ loop: { for: { in: '[1, 2]' }, do: [${get('d')}] } }] } }`,
        get('e'),
      ]),
    ]);
    expect(recorded).toEqual(['together a b c d +d e']);
    expect(output).toEqual(['/a', ['/b', '/c'], '/d', '/e']);
  });

  test('bring along what follows each of them in its branch', async () => {
    const { output, recorded } = await run([
      forkOf([
        `{ one: { do: [${get('a')}, ${get('b')}, ${get('c')}] } }`,
        `{ two: { do: [${get('d')}, ${get('e')}] } }`,
      ]),
      get('z'),
    ]);
    expect(recorded).toEqual(['together a +b +c d +e', 'alone']);
    expect(output).toBe('/z');
    expect(paths()).toHaveLength(6);
  });

  test('are the first ones of the lanes of a loop', async () => {
    const item = get('a').replace(`'${server.origin}/a'`, `"\${ '${server.origin}/' + string(item) }"`);
    const { output, recorded } = await run([
      `{ all: { for: { in: '[1, 2, 3, 4, 5, 6, 7]' }, do: [${item}], metadata: { concurrency: 3 } } }`,
    ]);
    expect(recorded).toEqual(['together a a a', 'alone', 'alone', 'alone', 'alone']);
    expect(output).toEqual(['/1', '/2', '/3', '/4', '/5', '/6', '/7']);
  });

  test('stay apart where they compete', async () => {
    const { recorded } = await run([forkOf([get('a'), get('b')], 'compete: true,')]);
    expect(recorded).toEqual(['alone', 'alone']);
    const nested = await run([forkOf([get('a'), forkOf([get('b'), get('c')], 'compete: true,'), get('d')])]);
    expect(nested.recorded.sort()).toEqual(['alone', 'alone', 'together a d']);
  });

  test('are none of those that go by their queue, have an effect, or wait first', async () => {
    const { recorded } = await run([
      forkOf([
        get('a'),
        get('b', 'dispatch: queue'),
        '{ put: { call: fs.put, with: { path: together/x, content: x }, metadata: { dispatch: local } } }',
        `{ late: { do: [{ w: { wait: PT0.01S } }, ${get('c')}] } }`,
        get('d'),
      ]),
    ]);
    expect(recorded.sort()).toEqual(['alone', 'alone', 'queue b', 'together a d']);
  });

  test('are sent in groups where they are many', async () => {
    await run([get('warm', 'dispatch: local')]);
    const names = Array.from({ length: 120 }, (_, index) => `n${index}`);
    const { output, recorded } = await run([forkOf(names.map((name) => get(name)))]);
    expect(output).toEqual(names.map((name) => `/${name}`));
    const groups = recorded.filter((text) => text.startsWith('together')).map((text) => text.split(' ').length - 1);
    expect(groups.sort()).toEqual([20, 50, 50]);
  });

  test('that give much together leave the rest to their queues', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) sizes.set(`/${name}`, 250_000);
    const big = (name: string) => get(name).replace('data.path', 'size(data.text)');
    const { output, recorded } = await run([forkOf(names.map(big))]);
    expect(output).toEqual(Array(6).fill(250_000));
    expect(recorded.filter((text) => text.startsWith('queue')).length).toBeGreaterThanOrEqual(3);
  });
});

test('reads that begin together in branches that go on at other times replay', async () => {
  // Heard before the others, though its branch is the last; what is not its own changes the flow's course.
  const check = (paths: readonly string[]) =>
    `{ check${paths.length}: { if: "\${ string(data[0]) + string(data[1]) != '${paths.join('')}' }", raise: { error: { type: 'https://x.test/e', status: 500 } } } }`;
  const after = (first: string, paths: readonly string[]) =>
    `{ b${paths.join('').replaceAll('/', '')}: { do: [${first}, ${forkOf(paths.map((path) => get(path.slice(1))))}, ${check(paths)}] } }`;
  const put = '{ put: { call: fs.put, with: { path: together/y, content: x }, metadata: { dispatch: local } } }';
  for (let times = 0; times < 3; times += 1) {
    delays.set('/a', 300).set('/b', 150);
    const apart = (name: string) => `{ alone: { fork: { compete: true, branches: [${get(name)}] } } }`;
    const { recorded } = await run([
      forkOf([after(apart('a'), ['/c', '/d']), after(apart('b'), ['/e', '/f']), after(put, ['/g', '/h'])]),
    ]);
    expect(recorded).toEqual(Array(9).fill('alone'));
  }
});

test('reads that begin together are as many as the tenant may run at once, and within other branches single', async () => {
  const policy = join(worker.folder, 'policy.json');
  const scopes = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: { acme: { scopes, quotas: { concurrentSteps: 3 } } } }));
  const limited = await startTestWorker({ policy, dispatch: 'auto' });
  try {
    const late = (name: string, wait: string) =>
      `{ ${name}: { do: [{ w: { wait: ${wait} } }, ${forkOf([get(`${name}1`), get(`${name}2`)])}] } }`;
    for (const [steps, expected] of [
      [forkOf(['a', 'b', 'c', 'd', 'e'].map((name) => get(name))), ['together a b c', 'alone', 'alone']],
      [forkOf([late('x', 'PT0.01S'), late('y', 'PT0.02S')]), Array(4).fill('alone')],
    ] as const) {
      const handle = await limited.start(`do: [${steps}]`, null, { tenant: 'acme' });
      await handle.result();
      expect(await recorded(handle)).toEqual(expected);
      await replay(handle);
    }
  } finally {
    await limited.stop();
  }
});

describe('of reads that begin together, one that fails', () => {
  test('for good fails the flow once the others have ended, and is redriven', async () => {
    statuses.set('/b', [404]);
    const handle = await worker.start(`do: [${forkOf([get('a'), get('b'), get('c')])}]`);
    expect(await errorOf(handle)).toMatchObject({ instance: '/do/0/f/fork/branches/1/b', status: 404 });
    expect(await recorded(handle)).toEqual(['together a b c']);
    expect((await attemptsOf(handle)).b).toEqual(['failed', 1]);
    await replay(handle);
    const { address, namespace } = testTemporal();
    const where = ['--address', address, '--namespace', namespace, '--blob-root', `${worker.folder}/blobs`];
    expect(await runInProcess(['redrive', handle.workflowId, ...where])).toMatchObject({ code: 0, stderr: '' });
    expect(await worker.client.workflow.getHandle(handle.workflowId).result()).toEqual(['/a', '/b', '/c']);
  });

  test('ahead in its branch is redriven, too', async () => {
    statuses.set('/c', [404]);
    const handle = await worker.start(`do: [${forkOf([get('a'), `{ two: { do: [${get('b')}, ${get('c')}] } }`])}]`);
    expect(await errorOf(handle)).toMatchObject({ status: 404 });
    expect(await recorded(handle)).toEqual(['together a b +c']);
    await replay(handle);
    const { address, namespace } = testTemporal();
    const where = ['--address', address, '--namespace', namespace, '--blob-root', `${worker.folder}/blobs`];
    expect(await runInProcess(['redrive', handle.workflowId, ...where])).toMatchObject({ code: 0, stderr: '' });
    expect(await worker.client.workflow.getHandle(handle.workflowId).result()).toEqual(['/a', '/c']);
  });

  test('is caught in its branch', async () => {
    statuses.set('/b', [404]);
    const caught = `{ t: { try: [${get('b')}], catch: { as: e, do: [{ x: { set: '\${ e.status }' } }] } } }`;
    const { output, recorded } = await run([forkOf([get('a'), caught, get('c')])]);
    expect(output).toEqual(['/a', 404, '/c']);
    expect(recorded).toEqual(['together a b c']);
  });

  test('for now goes to its queue, with the number that is next', async () => {
    statuses.set('/b', [503]);
    const { handle, output, recorded } = await run([forkOf([get('a'), get('b', RETRY), get('c')])]);
    expect(recorded).toEqual(['together a b c', 'queue b']);
    expect(output).toEqual(['/a', '/b', '/c']);
    expect(await attemptsOf(handle)).toMatchObject({ a: ['completed', 1], b: ['completed', 2] });
  });

  test('by taking too long goes to its queue, and the others keep what they have', async () => {
    silent.set('/b', 1);
    const { handle, output, recorded } = await run([forkOf([get('a'), get('b', RETRY), get('c')])]);
    expect(recorded).toEqual(['together a b c', 'queue b']);
    expect(output).toEqual(['/a', '/b', '/c']);
    expect(await attemptsOf(handle)).toMatchObject({ b: ['completed', 1] });
    expect(paths().sort()).toEqual(['/a', '/b', '/b', '/c']);
  });

  test('with all of them, where its worker stands still, goes to its queue as they do', async () => {
    let isFirst = true;
    const still = await servers.http((_, response) => {
      // Keeps the process of the test, which is the worker's, for longer than all have.
      if (isFirst)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TURN_MS + PLACE_MS + LOCAL_ATTEMPT_MS * 1.5);
      isFirst = false;
      response.end('{}');
    });
    const at = (name: string) => get(name).replace(server.origin, still.origin).replace('data.path', '"/x"');
    const { output, recorded } = await run([forkOf([at('a'), at('b')])]);
    expect(output).toEqual(['/x', '/x']);
    expect(recorded.filter((text) => text.startsWith('queue')).sort()).toEqual(['queue a', 'queue b']);
  });

  test('is cancelled with its flow', async () => {
    silent.set('/b', 9);
    const handle = await worker.start(`do: [${forkOf([get('a'), get('b')])}]`);
    await eventually(async () => (held.length === 1 ? true : undefined));
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    await replay(handle);
  });
});

test.each([
  ['begin together', () => forkOf([get('a'), get('b'), get('c'), get('d')])],
  ['are read ahead', () => [get('a'), get('b'), get('c'), get('d')].join(', ')],
])('counts what steps used that %s in one transaction', async (_, tasks) => {
  // What other tests have left under way is counted when it ends.
  const own = await startTestWorker({ dispatch: 'auto' });
  const store = new Database(join(own.folder, 'blobs', 'state.sqlite'), { readonly: true });
  // Each report of usage leaves its key.
  const count = (sql: string) => store.prepare<[], number>(sql).pluck().get();
  try {
    await own.run(`do: [${tasks()}]`);
    expect(server.requests).toHaveLength(4);
    expect(count('SELECT count(*) FROM beamline_charged')).toBe(1);
    expect(count('SELECT sum(steps) FROM beamline_usage')).toBe(4);
  } finally {
    store.close();
    await own.stop();
  }
});
