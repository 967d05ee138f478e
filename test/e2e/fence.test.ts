import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { connectClient } from '../../src/worker/temporal-connection';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { childrenOf } from '../helpers/process-tree';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const processes = new WorkerProcesses();
const servers = new LoopbackServers();
/** Of the test that runs. */
const workers: ChildProcess[] = [];
const logs = new Map<ChildProcess, string>();
const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const prefix = `fence-${randomUUID()}`;
let client: Client;
let disconnect: () => Promise<void>;
/** Has the effects. */
let shop: LoopbackServer;
/** Its answers are held until they are let. */
let login: LoopbackServer;
let held: ServerResponse[] = [];

const startWorker = async (pool: string, queuePrefix = prefix): Promise<ChildProcess> => {
  const flags = ['--pools', pool, '--queue-prefix', queuePrefix, '--blob-root', join(folder, 'blobs')];
  const worker = await processes.start([...flags, `--${pool}-pool-size`, '1', '--allow-host', '127.0.0.1']);
  if (pool === 'cpu') workers.push(worker);
  logs.set(worker, '');
  worker.stdout?.on('data', (data: Buffer) => logs.set(worker, `${logs.get(worker)}${data}`));
  return worker;
};

beforeAll(async () => {
  ({ client, close: disconnect } = await connectClient(testTemporal()));
  shop = await servers.http((_, response) => response.end());
  login = await servers.http((_, response) => void held.push(response));
  // Runs the flows, and is left alone.
  await startWorker('io');
}, 60_000);
beforeEach(() => {
  held = [];
  shop.requests.length = 0;
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await kill(worker);
});
afterAll(async () => {
  await disconnect();
  await processes.killAll();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A POST that is sent once a token has come. */
const charge = (metadata: string): string => {
  const policy = `{authority: "${login.origin}", grant: client_credentials, client: {id: shop, secret: hush}}`;
  const endpoint = `{uri: "${shop.origin}/charges", authentication: {oauth2: ${policy}}}`;
  return `do: [{charge: {call: http, metadata: {${metadata}, heartbeat: PT2S, retry: {initialInterval: PT0.1S}}, with: {method: post, endpoint: ${endpoint}}}}]`;
};

const start = (flow: string, queuePrefix = prefix): Promise<WorkflowHandle> =>
  client.workflow.start('runFlow', {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `fence-${randomUUID()}`,
    args: [{ flow: flowOf(flow) }],
  });

const signalAll = ({ pid = -1 }: ChildProcess, signal: NodeJS.Signals): void => {
  for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
};

const letIn = (): void => {
  for (const response of held.splice(0)) {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ access_token: 't', token_type: 'Bearer' }));
  }
};

const asksForToken = () => eventually(async () => (held.length > 0 ? true : undefined));

/** How a worker's attempt ended, as its log has it. */
const endOfAttempt = (worker: ChildProcess, attempt = 1): Promise<string> =>
  eventually(async () => {
    const lines = (logs.get(worker) ?? '').split('\n');
    return lines.find((line) => line.includes('"/do/0/charge"') && line.includes(`"attempt":${attempt}`));
  }, 30_000);

/** By the fence, or by the answer to a heartbeat, which may be faster: then the attempt is cancelled, and has no code. */
async function expectRefusal(worker: ChildProcess): Promise<void> {
  const end = JSON.parse(await endOfAttempt(worker)) as { fields: { status: string; error_code?: string } };
  expect(end.fields.status).toBe('failed');
  expect(['BLW_STEP_OUTDATED', undefined]).toContain(end.fields.error_code);
}

const UNKNOWN = { code: 'BLW_OUTCOME_UNKNOWN', data: { outcome: 'unknown' } };

test('a worker that stood still past the heartbeat does not send what it was about to', async () => {
  const worker = await startWorker('cpu');
  const handle = await start(charge('resources: cpu'));
  await asksForToken();
  signalAll(worker, 'SIGSTOP');
  expect(await errorOf(handle)).toMatchObject(UNKNOWN);
  // What people are told to look for is not there, and does not come any more.
  letIn();
  signalAll(worker, 'SIGCONT');
  await expectRefusal(worker);
  expect(shop.requests).toEqual([]);
}, 60_000);

test('nor does the process of a block whose worker stands still', async () => {
  const worker = await startWorker('cpu');
  const handle = await start(charge('resources: cpu'));
  await asksForToken();
  process.kill(worker.pid ?? -1, 'SIGSTOP');
  expect(await errorOf(handle)).toMatchObject(UNKNOWN);
  letIn();
  // It has its token, and asks its worker, in vain.
  process.kill(worker.pid ?? -1, 'SIGCONT');
  await expectRefusal(worker);
  expect(shop.requests).toEqual([]);
}, 60_000);

test('nor does a worker that got its task while it stood still', async () => {
  const queuePrefix = `${prefix}-late`;
  await startWorker('io', queuePrefix);
  const worker = await startWorker('cpu', queuePrefix);
  process.kill(worker.pid ?? -1, 'SIGSTOP');
  const handle = await start(
    `do: [{charge: {call: http, metadata: {resources: cpu, heartbeat: PT2S}, with: {method: post, endpoint: "${shop.origin}/charges"}}}]`,
    queuePrefix,
  );
  expect(await errorOf(handle)).toMatchObject(UNKNOWN);
  process.kill(worker.pid ?? -1, 'SIGCONT');
  await expectRefusal(worker);
  expect(shop.requests).toEqual([]);
}, 60_000);

test('a slow attempt that is still current asks, and sends', async () => {
  const queuePrefix = `${prefix}-slow`;
  await startWorker('io', queuePrefix);
  const handle = await start(charge('resources: io'), queuePrefix);
  await asksForToken();
  // Longer than an attempt is taken for current without a question.
  await eventually(async () => {
    const [activity] = (await handle.describe()).raw.pendingActivities ?? [];
    const { lastStartedTime: begun, lastHeartbeatTime: beaten } = activity ?? {};
    return Number(beaten?.seconds ?? 0) - Number(begun?.seconds ?? 0) >= 2 ? true : undefined;
  });
  letIn();
  await handle.result();
  expect(shop.requests).toHaveLength(1);
}, 60_000);
