import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { connectClient } from '../../src/worker/temporal-connection';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen } from '../helpers/test-worker';

const BEAMLINE = join(__dirname, '..', '..', 'bin', 'beamline.js');

/** What one test has for itself: the tests run at once, since each waits for timeouts most of its time. */
class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  readonly prefix = `crash-${randomUUID()}`;
  readonly #workers: ChildProcess[] = [];

  /** Starts a worker process and waits until it polls. */
  async spawnWorker(flags: readonly string[] = [], log: 'pipe' | number = 'pipe'): Promise<ChildProcess> {
    const { address, namespace } = testTemporal();
    const args = [
      'worker',
      '--address',
      address,
      '--namespace',
      namespace,
      '--queue-prefix',
      this.prefix,
      '--allow-host',
      '127.0.0.1',
      '--blob-root',
      join(this.folder, 'blobs'),
      ...flags,
    ];
    const worker = spawn(
      process.execPath,
      [BEAMLINE, ...args, '--database', `test=sqlite:${join(this.folder, 'test.db')}`],
      {
        stdio: ['ignore', log, 'inherit'],
      },
    );
    this.#workers.push(worker);
    if (log !== 'pipe') return worker;
    let output = '';
    worker.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await eventually(async () => (output.includes('worker started') ? true : undefined), 30_000);
    return worker;
  }

  async end(): Promise<void> {
    for (const worker of this.#workers) {
      if (worker.exitCode === null && worker.signalCode === null) {
        worker.kill('SIGKILL');
        await once(worker, 'exit');
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A test in a world of its own, which ends with it. */
function inWorld<Row extends readonly unknown[]>(
  work: (world: World, ...row: Row) => Promise<void>,
): (...row: Row) => Promise<void> {
  return async (...row) => {
    const world = new World();
    try {
      await work(world, ...row);
    } finally {
      await world.end();
    }
  };
}

const FLOW = flowOf(`
do:
  - before: { call: fs.put, with: { path: before, content: '\${ data.n }' } }
  - pause: { wait: { milliseconds: 1500 } }
  - after: { call: fs.put, with: { path: after, content: '\${ steps.before.output.size }' } }
  - read: { call: fs.get, with: { path: after, as: json }, output: { as: data.content } }
`);

test.concurrent(
  'a flow whose worker is killed in the middle completes on the next one, repeating nothing',
  inWorld(async (world) => {
    const first = await world.spawnWorker();
    const { client, close } = await connectClient(testTemporal());
    try {
      const handle = await client.workflow.start('runFlow', {
        taskQueue: `${world.prefix}-io`,
        workflowId: `crash-${randomUUID()}`,
        args: [{ flow: FLOW, input: { n: 1 } }],
      });
      await eventually(async () => {
        const { steps } = await handle.query<FlowProgress>('progress');
        return steps.some(({ name }) => name === 'pause') ? true : undefined;
      });
      first.kill('SIGKILL');
      await once(first, 'exit');
      await world.spawnWorker();
      expect(await handle.result()).toBe(1);
      const { events } = await handle.fetchHistory();
      const scheduled = events?.flatMap(
        ({ activityTaskScheduledEventAttributes: activity }) => activity?.activityType?.name ?? [],
      );
      expect(scheduled).toEqual(['fs.put', 'fs.put', 'fs.get']);
    } finally {
      await close();
    }
  }),
  120_000,
);

const startFlow = async (world: World, flow: JsonObject) => {
  const { client, close } = await connectClient(testTemporal());
  const handle = await client.workflow.start('runFlow', {
    taskQueue: `${world.prefix}-io`,
    workflowId: `crash-${randomUUID()}`,
    args: [{ flow }],
    workflowTaskTimeout: '3s',
  });
  return { handle, close };
};

/**
 * Runs a flow whose worker is killed within its first request to `/hold`, which is never answered: at once, since a step is in place for less than a second.
 * The answers are numbered. Gives its output, and the paths that were asked for.
 */
async function runKilled(
  world: World,
  flow: (origin: string) => JsonObject,
): Promise<[output: unknown, paths: string[]]> {
  const servers = new LoopbackServers();
  let held: (() => void) | undefined;
  let kill = (): unknown => undefined;
  const server = await servers.http(({ url = '' }, response) => {
    const answer = () => response.end(JSON.stringify(server.requests.length));
    response.setHeader('content-type', 'application/json');
    if (url === '/hold' && held === undefined) {
      held = answer;
      kill();
    } else answer();
  });
  const first = await world.spawnWorker();
  kill = () => first.kill('SIGKILL');
  const killed = once(first, 'exit');
  const { handle, close } = await startFlow(world, flow(server.origin));
  try {
    await killed;
    await world.spawnWorker();
    return [await handle.result(), server.requests.map(({ url }) => url)];
  } finally {
    held?.();
    await close();
    await servers.close();
  }
}

const LOCAL = 'metadata: { dispatch: local }';
const read = (name: string, origin: string) =>
  `{ ${name}: { call: http, with: { method: get, endpoint: '${origin}/${name}' }, ${LOCAL} } }`;

test.concurrent(
  'steps in place whose worker is killed before the history has them are done again, and give what there is then',
  inWorld(async (world) => {
    const put = `{ write: { call: fs.put, with: { path: a, content: '\${ string(steps.first.output) }' }, ${LOCAL} } }`;
    const last = "{ last: { call: fs.get, with: { path: a }, output: { as: '[steps.first.output, data.content]' } } }";
    const [output, paths] = await runKilled(world, (origin) =>
      flowOf(`do: [${read('first', origin)}, ${read('hold', origin)}, ${put}, ${last}]`),
    );
    // The first answer was 1: nothing was done on its word.
    expect(output).toEqual([3, '3']);
    expect(paths).toEqual(['/first', '/hold', '/first', '/hold']);
  }),
  120_000,
);

test.concurrent(
  'an effect in place happens once, whatever the time is and whichever branch comes first when it is done again',
  inWorld(async (world) => {
    const put = (path: string, content: string) =>
      `{ ${path}: { call: fs.put, with: { path: ${path}, content: '${content}' }, ${LOCAL} } }`;
    const remove = (path: string) =>
      `{ remove: { call: fs.delete, with: { path: ${path}, ifMissing: ignore }, ${LOCAL} } }`;
    const [output] = await runKilled(world, (origin) =>
      flowOf(`do:
  - make: { call: sql.execute, with: { database: test, statement: 'CREATE TABLE t (x TEXT)' } }
  - some: { call: fs.put, with: { path: a, content: x } }
  - other: { call: fs.put, with: { path: b, content: x } }
  - add:
      call: sql.execute
      with: { database: test, statement: 'INSERT INTO t (x) VALUES (?)', parameters: ['\${ task.startedAt.iso8601 }'] }
      ${LOCAL}
  - all:
      fork:
        branches:
          - one: { do: [ ${put('large', 'x'.repeat(150_000))}, ${remove('a')} ] }
          - two: { do: [ ${put('small', 'x')}, ${remove('b')} ] }
  - ${read('hold', origin)}
  - count: { call: sql.query, with: { database: test, statement: 'SELECT x FROM t' } }
  - end: { set: { rows: '\${ size(steps.count.output.rows) }', removed: '\${ steps.all.output.map(blob, blob.deleted) }' } }
`),
    );
    expect(output).toEqual({ rows: 1, removed: [true, true] });
  }),
  120_000,
);

test.concurrent(
  'an event that follows from a step in place goes out as the flow goes on, also where its worker is killed right after',
  inWorld(async (world) => {
    const servers = new LoopbackServers();
    const held: (() => void)[] = [];
    const server = await servers.http(({ url = '' }, response) => {
      const answer = () => response.end(JSON.stringify(server.requests.length));
      response.setHeader('content-type', 'application/json');
      if (url === '/second' && held.length === 0) held.push(answer);
      else answer();
    });
    const closes: (() => Promise<void>)[] = [];
    const start = async (text: string) => {
      const { handle, close } = await startFlow(world, flowOf(text));
      closes.push(close);
      return handle;
    };
    try {
      const first = await world.spawnWorker();
      const listener = await start('do: [{ hear: { listen: { to: { one: { with: { type: read } } } } } }]');
      await progressWhen(listener, ({ steps }) => steps.some(({ status }) => status === 'listening'));
      const tell = "{ tell: { emit: { event: { with: { type: read, data: '${ steps.first.output }' } } } } }";
      const last = "{ last: { set: '${ steps.first.output }' } }";
      const handle = await start(
        `do: [${read('first', server.origin)}, ${tell}, ${read('second', server.origin)}, ${last}]`,
      );
      await eventually(async () => (held.length > 0 ? true : undefined));
      first.kill('SIGKILL');
      await once(first, 'exit');
      await world.spawnWorker();
      expect([await handle.result()]).toEqual(await listener.result());
    } finally {
      for (const answer of held) answer();
      for (const close of closes) await close();
      await servers.close();
    }
  }),
  120_000,
);

test.concurrent.each([
  ['is not repeated where it may have taken effect', 'post', 'metadata: {heartbeat: PT2S}', 1, 'BLW_OUTCOME_UNKNOWN'],
  [
    'is not repeated where its time is over before that is known',
    'post',
    'timeout: {after: PT12S}',
    1,
    'BLW_STEP_TIMEOUT',
  ],
  ['is repeated where that is harmless', 'put', 'metadata: {heartbeat: PT2S}', 2, undefined],
  [
    'is repeated where the author says that it is harmless',
    'post',
    'metadata: {idempotent: true, heartbeat: PT2S}',
    2,
    undefined,
  ],
])(
  'a call whose worker is killed %s',
  inWorld(async (world, _, method, options, expected, code) => {
    const servers = new LoopbackServers();
    // The first request is never answered: its worker dies while it waits.
    const server = await servers.http((_request, response) => {
      if (server.requests.length > 1) response.end();
    });
    const first = await world.spawnWorker();
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(
        `do: [{p: {call: http, ${options}, with: {method: ${method}, endpoint: "${server.origin}/"}}}]`,
      );
      const start = { taskQueue: `${world.prefix}-io`, workflowId: `lost-${randomUUID()}`, args: [{ flow }] };
      const handle = await client.workflow.start('runFlow', start);
      await eventually(async () => (server.requests.length > 0 ? true : undefined));
      first.kill('SIGKILL');
      await once(first, 'exit');
      await world.spawnWorker();
      if (code === undefined) await handle.result();
      else expect(await errorOf(handle)).toMatchObject({ code, data: { outcome: 'unknown' }, instance: '/do/0/p' });
      expect(server.requests).toHaveLength(expected);
      expect(new Set(server.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    } finally {
      await close();
      await servers.close();
    }
  }),
  120_000,
);

test.concurrent.each([
  ['is not repeated where it may have taken effect', 'post', 'BLW_OUTCOME_UNKNOWN', 1],
  ['is repeated by the next one where that is harmless', 'put', undefined, 2],
])(
  'a call that is under way when the grace time of its worker is over %s',
  inWorld(async (world, _, method, code, expected) => {
    const servers = new LoopbackServers();
    const server = await servers.http((_request, response) => {
      if (server.requests.length > 1) response.end();
    });
    const first = await world.spawnWorker(['--shutdown-grace', '0']);
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(`do: [{p: {call: http, with: {method: ${method}, endpoint: "${server.origin}/"}}}]`);
      const options = { taskQueue: `${world.prefix}-io`, workflowId: `grace-${randomUUID()}`, args: [{ flow }] };
      const handle = await client.workflow.start('runFlow', options);
      await eventually(async () => (server.requests.length > 0 ? true : undefined));
      first.kill('SIGTERM');
      await once(first, 'exit');
      await world.spawnWorker();
      if (code === undefined) await handle.result();
      else expect(await errorOf(handle)).toMatchObject({ code, data: { outcome: 'unknown' }, instance: '/do/0/p' });
      expect(server.requests).toHaveLength(expected);
    } finally {
      await close();
      await servers.close();
    }
  }),
  120_000,
);

test.concurrent(
  'a worker goes on where its log cannot be written',
  inWorld(async (world) => {
    const full = openSync('/dev/full', 'w');
    await world.spawnWorker([], full);
    closeSync(full);
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = {
        taskQueue: `${world.prefix}-io`,
        workflowId: `log-${randomUUID()}`,
        args: [{ flow: FLOW, input: { n: 1 } }],
      };
      expect(await client.workflow.execute('runFlow', flow)).toBe(1);
    } finally {
      await close();
    }
  }),
  60_000,
);

test.concurrent(
  'SIGTERM lets the running step finish, and the worker ends with exit code 0',
  inWorld(async (world) => {
    const worker = await world.spawnWorker();
    const { client, close } = await connectClient(testTemporal());
    try {
      const marker =
        'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000000) SELECT count(*) AS n FROM c';
      const flow = flowOf(
        `do: [{q: {call: sql.query, metadata: {retry: {maximumAttempts: 1}}, with: {database: test, statement: '${marker}'}, output: {as: 'data.rows[0].n'}}}]`,
      );
      const handle = await client.workflow.start('runFlow', {
        taskQueue: `${world.prefix}-io`,
        workflowId: `drain-${randomUUID()}`,
        args: [{ flow }],
      });
      await eventually(async () =>
        (await handle.query<FlowProgress>('progress')).steps[0]?.status === 'running' ? true : undefined,
      );
      worker.kill('SIGTERM');
      const [code] = await once(worker, 'exit');
      expect(code).toBe(0);
      await world.spawnWorker();
      expect(await handle.result()).toBe(20_000_000);
    } finally {
      await close();
    }
  }),
  120_000,
);
