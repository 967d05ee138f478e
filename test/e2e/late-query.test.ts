import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { DeadLetters, ListedLetter } from '../../src/dsl/dead-letter';
import { connectClient } from '../../src/worker/temporal-connection';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf, progressWhen } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

/**
 * A worker is lost, and a query that was sent to it reaches another worker 10 s later, with events that came meanwhile: with it the flows
 * hear that their steps are lost, 10 s before the clock of the workflow task says so. When they are replayed, the clock is right.
 */
const processes = new WorkerProcesses();
const servers = new LoopbackServers();
const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const queuePrefix = `late-${randomUUID()}`;
const flags = ['--pools', 'io', '--queue-prefix', queuePrefix, '--blob-root', join(folder, 'blobs')];
const CHARGE = 'call: http, metadata: {onFailure: deadLetter, heartbeat: PT4S}';
/** Of the server: that a workflow task waits for a worker. */
const WORKFLOW_TASK_SCHEDULED = 5;
let client: Client;
let disconnect: () => Promise<void>;
/** Does not answer the first request for a path. */
let shop: LoopbackServer;

beforeAll(async () => {
  ({ client, close: disconnect } = await connectClient(testTemporal()));
  shop = await servers.http(({ url }, response) => {
    if (shop.requests.filter((request) => request.url === url).length > 1) response.end();
  });
});
afterAll(async () => {
  await disconnect();
  await processes.killAll();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

const startWorker = () => processes.start([...flags, '--allow-host', '127.0.0.1']);

const start = (path: string, flow: string): Promise<WorkflowHandle> =>
  client.workflow.start('runFlow', {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `${path}-${randomUUID()}`,
    args: [{ flow: flowOf(flow.replace('PATH', `${shop.origin}/${path}`)) }],
  });

const letterOf = (flow: WorkflowHandle): Promise<ListedLetter> =>
  eventually(async () => (await flow.query<DeadLetters>('deadLetters')).letters[0], 30_000);

const lastEventOf = async (flow: WorkflowHandle): Promise<unknown> =>
  (await flow.fetchHistory()).events?.at(-1)?.eventType;

test('a flow that hears of a lost step too early takes the same course when it is replayed', async () => {
  const first = await startWorker();
  const step = `charge: {${CHARGE}, with: {method: post, endpoint: 'PATH'}}`;
  const pause = '{pause: {wait: PT1H}}';
  const policy = 'retry: {delay: PT0.1S, limit: {duration: PT3S}}';
  const resolved = await start('resolved', `do: [{${step}}, ${pause}]`);
  const parked = await start('parked', `do: [{${step}}]`);
  const tried = await start(
    'tried',
    `do: [{attempt: {try: [{${step.replace('onFailure: deadLetter, ', '')}}], catch: {${policy}, do: [{late: {set: {n: 1}}}]}}}, ${pause}]`,
  );
  const flows = [resolved, parked, tried];
  await eventually(async () => (shop.requests.length === flows.length ? true : undefined), 30_000);

  const second = await startWorker();
  await kill(first);
  // Too late for the worker that is gone, too early for the workflow task.
  await Promise.all(flows.map((flow) => flow.query('progress')));
  expect(await Promise.all(flows.map(lastEventOf))).toEqual(flows.map(() => WORKFLOW_TASK_SCHEDULED));

  const before = await letterOf(parked);
  const { id, failedAt } = await letterOf(resolved);
  await resolved.executeUpdate('resolve', { args: [{ id, failedAt, action: 'retry' }] });
  const paused = (flow: WorkflowHandle) =>
    progressWhen(flow, ({ steps }) => steps.some(({ name, status }) => name === 'pause' && status === 'running'));
  await paused(resolved);
  const { steps } = await paused(tried);
  expect(steps.map(({ name }) => name)).toContain('late');

  await startWorker();
  await kill(second);
  const { namespace } = testTemporal();
  for (const { workflowId } of flows) {
    await client.workflowService.resetStickyTaskQueue({ namespace, execution: { workflowId } });
  }
  expect(await letterOf(parked)).toEqual(before);
  await parked.executeUpdate('resolve', { args: [{ id: before.id, failedAt: before.failedAt, action: 'retry' }] });
  await parked.result();
  await paused(resolved);
  await paused(tried);
  expect(shop.requests.map(({ url }) => url).sort()).toEqual([
    '/parked',
    '/parked',
    '/resolved',
    '/resolved',
    '/tried',
  ]);
  await Promise.all([resolved, tried].map((flow) => flow.terminate()));
}, 120_000);
