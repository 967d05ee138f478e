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

let folder: string;
let prefix: string;
const workers: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  prefix = `crash-${randomUUID()}`;
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    if (worker.exitCode === null && worker.signalCode === null) {
      worker.kill('SIGKILL');
      await once(worker, 'exit');
    }
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a worker process and waits until it polls. */
async function spawnWorker(flags: readonly string[] = [], log: 'pipe' | number = 'pipe'): Promise<ChildProcess> {
  const { address, namespace } = testTemporal();
  const args = [
    'worker',
    '--address',
    address,
    '--namespace',
    namespace,
    '--queue-prefix',
    prefix,
    '--allow-host',
    '127.0.0.1',
    '--blob-root',
    join(folder, 'blobs'),
    ...flags,
  ];
  const worker = spawn(process.execPath, [BEAMLINE, ...args, '--database', `test=sqlite:${join(folder, 'test.db')}`], {
    stdio: ['ignore', log, 'inherit'],
  });
  workers.push(worker);
  if (log !== 'pipe') return worker;
  let output = '';
  worker.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await eventually(async () => (output.includes('worker started') ? true : undefined), 30_000);
  return worker;
}

const FLOW = flowOf(`
do:
  - before: { call: fs.put, with: { path: before, content: '\${ data.n }' } }
  - pause: { wait: { milliseconds: 1500 } }
  - after: { call: fs.put, with: { path: after, content: '\${ steps.before.output.size }' } }
  - read: { call: fs.get, with: { path: after, as: json }, output: { as: data.content } }
`);

test('a flow whose worker is killed in the middle completes on the next one, repeating nothing', async () => {
  const first = await spawnWorker();
  const { client, close } = await connectClient(testTemporal());
  try {
    const handle = await client.workflow.start('runFlow', {
      taskQueue: `${prefix}-io`,
      workflowId: `crash-${randomUUID()}`,
      args: [{ flow: FLOW, input: { n: 1 } }],
    });
    await eventually(async () => {
      const { steps } = await handle.query<FlowProgress>('progress');
      return steps.some(({ name }) => name === 'pause') ? true : undefined;
    });
    first.kill('SIGKILL');
    await once(first, 'exit');
    await spawnWorker();
    expect(await handle.result()).toBe(1);
    const { events } = await handle.fetchHistory();
    const scheduled = events?.flatMap(
      ({ activityTaskScheduledEventAttributes: activity }) => activity?.activityType?.name ?? [],
    );
    expect(scheduled).toEqual(['fs.put', 'fs.put', 'fs.get']);
  } finally {
    await close();
  }
}, 120_000);

test.each([
  ['is not repeated where it may have taken effect', 'post', '', 1, 'BLW_OUTCOME_UNKNOWN'],
  ['is repeated where that is harmless', 'put', '', 2, undefined],
  ['is repeated where the author says that it is harmless', 'post', 'idempotent: true, ', 2, undefined],
])(
  'a call whose worker is killed %s',
  async (_, method, metadata, expected, code) => {
    const servers = new LoopbackServers();
    // The first request is never answered: its worker dies while it waits.
    const server = await servers.http((_request, response) => {
      if (server.requests.length > 1) response.end();
    });
    const first = await spawnWorker();
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(
        `do: [{p: {call: http, metadata: {${metadata}heartbeat: PT2S}, with: {method: ${method}, endpoint: "${server.origin}/"}}}]`,
      );
      const options = { taskQueue: `${prefix}-io`, workflowId: `lost-${randomUUID()}`, args: [{ flow }] };
      const handle = await client.workflow.start('runFlow', options);
      await eventually(async () => (server.requests.length > 0 ? true : undefined));
      first.kill('SIGKILL');
      await once(first, 'exit');
      await spawnWorker();
      if (code === undefined) await handle.result();
      else expect(await errorOf(handle)).toMatchObject({ code, data: { outcome: 'unknown' }, instance: '/do/0/p' });
      expect(server.requests).toHaveLength(expected);
      expect(new Set(server.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    } finally {
      await close();
      await servers.close();
    }
  },
  120_000,
);

test.each([
  ['is not repeated where it may have taken effect', 'post', 'BLW_OUTCOME_UNKNOWN', 1],
  ['is repeated by the next one where that is harmless', 'put', undefined, 2],
])(
  'a call that is under way when the grace time of its worker is over %s',
  async (_, method, code, expected) => {
    const servers = new LoopbackServers();
    const server = await servers.http((_request, response) => {
      if (server.requests.length > 1) response.end();
    });
    const first = await spawnWorker(['--shutdown-grace', '0']);
    const { client, close } = await connectClient(testTemporal());
    try {
      const flow = flowOf(`do: [{p: {call: http, with: {method: ${method}, endpoint: "${server.origin}/"}}}]`);
      const options = { taskQueue: `${prefix}-io`, workflowId: `grace-${randomUUID()}`, args: [{ flow }] };
      const handle = await client.workflow.start('runFlow', options);
      await eventually(async () => (server.requests.length > 0 ? true : undefined));
      first.kill('SIGTERM');
      await once(first, 'exit');
      await spawnWorker();
      if (code === undefined) await handle.result();
      else expect(await errorOf(handle)).toMatchObject({ code, data: { outcome: 'unknown' }, instance: '/do/0/p' });
      expect(server.requests).toHaveLength(expected);
    } finally {
      await close();
      await servers.close();
    }
  },
  120_000,
);

test('a worker goes on where its log cannot be written', async () => {
  const full = openSync('/dev/full', 'w');
  await spawnWorker([], full);
  closeSync(full);
  const { client, close } = await connectClient(testTemporal());
  try {
    const flow = {
      taskQueue: `${prefix}-io`,
      workflowId: `log-${randomUUID()}`,
      args: [{ flow: FLOW, input: { n: 1 } }],
    };
    expect(await client.workflow.execute('runFlow', flow)).toBe(1);
  } finally {
    await close();
  }
}, 60_000);

test('SIGTERM lets the running step finish, and the worker ends with exit code 0', async () => {
  const worker = await spawnWorker();
  const { client, close } = await connectClient(testTemporal());
  try {
    const marker =
      'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000000) SELECT count(*) AS n FROM c';
    const flow = flowOf(
      `do: [{q: {call: sql.query, metadata: {retry: {maximumAttempts: 1}}, with: {database: test, statement: '${marker}'}, output: {as: 'data.rows[0].n'}}}]`,
    );
    const handle = await client.workflow.start('runFlow', {
      taskQueue: `${prefix}-io`,
      workflowId: `drain-${randomUUID()}`,
      args: [{ flow }],
    });
    await eventually(async () =>
      (await handle.query<FlowProgress>('progress')).steps[0]?.status === 'running' ? true : undefined,
    );
    worker.kill('SIGTERM');
    const [code] = await once(worker, 'exit');
    expect(code).toBe(0);
    await spawnWorker();
    expect(await handle.result()).toBe(20_000_000);
  } finally {
    await close();
  }
}, 120_000);
