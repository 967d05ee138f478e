import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FlowProgress } from '../../src/dsl/progress';
import { connectClient } from '../../src/worker/temporal-connection';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf } from '../helpers/test-worker';

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

test.concurrent.each([
  ['is not repeated where it may have taken effect', 'post', '', 1, 'BLW_OUTCOME_UNKNOWN'],
  ['is repeated where that is harmless', 'put', '', 2, undefined],
  ['is repeated where the author says that it is harmless', 'post', 'idempotent: true, ', 2, undefined],
])(
  'a call whose worker is killed %s',
  inWorld(async (world, _, method, metadata, expected, code) => {
    const servers = new LoopbackServers();
    // The first request is never answered: its worker dies while it waits.
    const server = await servers.http((_request, response) => {
      if (server.requests.length > 1) response.end();
    });
    const first = await world.spawnWorker();
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(
        `do: [{p: {call: http, metadata: {${metadata}heartbeat: PT2S}, with: {method: ${method}, endpoint: "${server.origin}/"}}}]`,
      );
      const options = { taskQueue: `${world.prefix}-io`, workflowId: `lost-${randomUUID()}`, args: [{ flow }] };
      const handle = await client.workflow.start('runFlow', options);
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
