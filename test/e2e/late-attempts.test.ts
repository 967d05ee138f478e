import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import type { FlowProgress } from '../../src/dsl/progress';
import { connectClient } from '../../src/worker/temporal-connection';
import { CommitProxy } from '../helpers/commit-proxy';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { childrenOf } from '../helpers/process-tree';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const processes = new WorkerProcesses();
const logs = new Map<ChildProcess, string>();
let folder: string;
let prefix: string;
let client: Client;
let disconnect: () => Promise<void>;
/** The SQLite database, as a stranger sees it. */
let shop: Sqlite.Database;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  prefix = `late-${randomUUID()}`;
  shop = new Sqlite(join(folder, 'shop.db'), { timeout: 5_000 });
  shop.pragma('journal_mode = WAL');
  shop.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)');
  ({ client, close: disconnect } = await connectClient(testTemporal()));
  // Runs the flows, and is left alone.
  await processes.start(['--pools', 'io', '--queue-prefix', prefix, '--blob-root', join(folder, 'blobs')]);
});
afterEach(async () => {
  shop.close();
  await disconnect();
  await processes.killAll();
  logs.clear();
  rmSync(folder, { recursive: true, force: true });
});

/**
 * Of one cpu step at a time, and of nothing else: Temporal goes on giving work to a stopped worker that has asked for some, and this one
 * asks only while it has nothing to do.
 */
const startWorker = async (...databases: string[]): Promise<ChildProcess> => {
  const flags = [
    '--pools',
    'cpu',
    '--cpu-pool-size',
    '1',
    '--queue-prefix',
    prefix,
    '--blob-root',
    join(folder, 'blobs'),
  ];
  const named = [`shop=sqlite:${join(folder, 'shop.db')}`, ...databases].flatMap((text) => ['--database', text]);
  const worker = await processes.start([...flags, ...named]);
  logs.set(worker, '');
  worker.stdout?.on('data', (data: Buffer) => logs.set(worker, `${logs.get(worker)}${data}`));
  return worker;
};

const start = (steps: string): Promise<WorkflowHandle> =>
  client.workflow.start('runFlow', {
    taskQueue: `${prefix}-io`,
    workflowId: `late-${randomUUID()}`,
    args: [{ flow: flowOf(`do: [${steps}]`) }],
  });

/** Of the worker and the processes that it runs blocks in. */
const signalAll = (worker: ChildProcess, signal: NodeJS.Signals): void => {
  const { pid = -1 } = worker;
  for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
};

const isRunning = (handle: WorkflowHandle, name: string) =>
  eventually(async () => {
    const { steps } = await handle.query<FlowProgress>('progress');
    return steps.some((step) => step.name === name && step.status === 'running') ? true : undefined;
  });

/** The attempt that Temporal took an outcome of, of every activity. */
const attemptsThatCount = async (handle: WorkflowHandle): Promise<number[]> => {
  const { events = [] } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []);
};

/** Undefined where the file has been closed meanwhile. */
const linkOf = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
};

/** Waits until a worker has told how its attempt of the step ended. */
const endOfAttempt = (worker: ChildProcess, stepId: string, attempt: number): Promise<string> =>
  eventually(async () => {
    const lines = (logs.get(worker) ?? '').split('\n');
    return lines.find((line) => line.includes(`"step_id":"${stepId}"`) && line.includes(`"attempt":${attempt}`));
  }, 30_000);

const INSERT = (database: string, heartbeat = 'PT2S') =>
  `{put: {call: sql.execute, metadata: {resources: cpu, heartbeat: ${heartbeat}, retry: {initialInterval: PT0.1S}}, with: {database: ${database}, statement: "INSERT INTO items (name) VALUES ('pen')"}}}`;

describe('a SQL step on SQLite', () => {
  const count = () => shop.prepare('SELECT count(*) FROM items').pluck().get();

  test('whose worker is killed is done by the next one, once', async () => {
    const first = await startWorker();
    shop.exec('BEGIN IMMEDIATE');
    const handle = await start(INSERT('shop'));
    await isRunning(handle, 'put');
    await kill(first);
    shop.exec('COMMIT');
    await startWorker();
    expect(await handle.result()).toEqual({ rowsAffected: 1, lastInsertId: 1 });
    expect(count()).toBe(1);
  }, 120_000);

  /** True of a process that has the database open; where that cannot be told, of every process. */
  const hasOpened = (pid: number): boolean => {
    const files = `/proc/${pid}/fd`;
    if (!existsSync(files)) return !existsSync('/proc');
    return readdirSync(files).some((name) => linkOf(join(files, name))?.endsWith('shop.db'));
  };

  /** The step's statement is under way, and waits for the lock. */
  const startWaiting = async (worker: ChildProcess) => {
    shop.exec('BEGIN IMMEDIATE');
    // Half of it has to be left when the statement begins, which takes the start of a process.
    const handle = await start(INSERT('shop', 'PT8S'));
    await isRunning(handle, 'put');
    await eventually(async () => (childrenOf(worker.pid ?? -1).some(hasOpened) ? true : undefined));
    return handle;
  };

  test('whose worker is stopped before it can report has one effect, and the late outcome does not count', async () => {
    const first = await startWorker();
    const handle = await startWaiting(first);
    // Not the process of the block, which goes on.
    process.kill(first.pid ?? -1, 'SIGSTOP');
    shop.exec('COMMIT');
    await eventually(async () => (count() === 1 ? true : undefined), 60_000);
    await startWorker();
    expect(await handle.result()).toEqual({ rowsAffected: 1, lastInsertId: 1 });
    process.kill(first.pid ?? -1, 'SIGCONT');
    await endOfAttempt(first, '/do/0/put', 1);
    expect(count()).toBe(1);
    expect(await attemptsThatCount(handle)).toEqual([2]);
  }, 120_000);

  test('whose worker is stopped before the effect and goes on once it has been done has one effect', async () => {
    const first = await startWorker();
    const handle = await startWaiting(first);
    signalAll(first, 'SIGSTOP');
    shop.exec('COMMIT');
    await startWorker();
    expect(await handle.result()).toEqual({ rowsAffected: 1, lastInsertId: 1 });
    signalAll(first, 'SIGCONT');
    await endOfAttempt(first, '/do/0/put', 1);
    expect(count()).toBe(1);
  }, 120_000);
});

const binaries = findPostgresBinaries();
const describeWithServer = binaries === undefined ? describe.skip : describe;

describeWithServer('a SQL step on PostgreSQL', () => {
  let server: TestPostgres;
  let admin: pg.Client;
  let proxy: CommitProxy;

  beforeAll(async () => {
    server = await startPostgres(binaries ?? '');
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    proxy = await CommitProxy.start(server.port);
  }, 120_000);
  afterAll(async () => {
    await proxy?.close();
    await admin?.end();
    await server?.stop();
  });
  beforeEach(() => admin.query('DROP TABLE IF EXISTS items; CREATE TABLE items (id serial, name text)'));

  const throughProxy = () => `crm=${proxy.through(server.url)}`;
  const count = async () => (await admin.query('SELECT count(*)::int AS n FROM items')).rows[0]?.n;

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'whose worker gets %s after the COMMIT and before its answer has one effect',
    async (signal) => {
      await admin.query(
        'CREATE TABLE IF NOT EXISTS beamline_ledger (key text PRIMARY KEY, step text NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(), result text)',
      );
      const first = await startWorker(throughProxy());
      proxy.holds = 1;
      const handle = await start(INSERT('crm'));
      await eventually(async () => (proxy.held === 1 ? true : undefined));
      signalAll(first, signal);
      await startWorker(`crm=${server.url}`);
      expect(await handle.result()).toEqual({ rowsAffected: 1 });
      proxy.let();
      if (signal === 'SIGSTOP') {
        signalAll(first, 'SIGCONT');
        await endOfAttempt(first, '/do/0/put', 1);
        expect(await attemptsThatCount(handle)).toEqual([2]);
      }
      expect(await count()).toBe(1);
    },
    120_000,
  );

  test('whose worker is stopped inside of its transaction has one effect, whoever comes first', async () => {
    const first = await startWorker(`crm=${server.url}`);
    await admin.query('BEGIN; LOCK TABLE items');
    const handle = await start(INSERT('crm'));
    const waits = async (kind: string) =>
      (await admin.query('SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = $1', [kind])).rowCount === 1 ||
      undefined;
    await eventually(() => waits('relation'));
    signalAll(first, 'SIGSTOP');
    await startWorker(`crm=${server.url}`);
    // The second attempt waits for the first one's record.
    await eventually(() => waits('transactionid'), 30_000);
    await admin.query('COMMIT');
    signalAll(first, 'SIGCONT');
    expect(await handle.result()).toEqual({ rowsAffected: 1 });
    await endOfAttempt(first, '/do/0/put', 1);
    expect(await count()).toBe(1);
  }, 120_000);
});

test('a put whose worker is stopped and goes on later leaves alone what the next step has written', async () => {
  const first = await startWorker();
  const lock = new Sqlite(join(folder, 'blobs', 'lock.sqlite'), { timeout: 5_000 });
  try {
    lock.exec('BEGIN IMMEDIATE');
    const retry = 'metadata: {resources: cpu, heartbeat: PT2S, retry: {initialInterval: PT0.1S}}';
    const handle = await start(
      `{a: {call: fs.put, ${retry}, with: {path: x, content: first}}}, {b: {call: fs.put, metadata: {resources: cpu}, with: {path: x, content: second}}}`,
    );
    await isRunning(handle, 'a');
    const unfinished = () => readdirSync(join(folder, 'blobs', 'default=t', 'temporary')).length;
    // The content and the pointer are written, and wait for the lock.
    await eventually(async () => (unfinished() === 2 ? true : undefined));
    signalAll(first, 'SIGSTOP');
    lock.exec('ROLLBACK');
    await startWorker();
    await handle.result();
    // The process of the block alone: the worker would tell it to stop.
    for (const child of childrenOf(first.pid ?? -1)) process.kill(child, 'SIGCONT');
    await eventually(async () => (unfinished() === 0 ? true : undefined));
    process.kill(first.pid ?? -1, 'SIGCONT');
    await endOfAttempt(first, '/do/0/a', 1);
    const read = await start('{read: {call: fs.get, with: {path: x}, output: {as: data.content}}}');
    expect(await read.result()).toBe('second');
    expect(await attemptsThatCount(handle)).toEqual([2, 1]);
  } finally {
    lock.close();
  }
}, 120_000);
