import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { FlowProgress } from '../../src/dsl/progress';
import type { TemporalServer } from '../../temporal-dev/server';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A server that suggests a new history early, so that flows leave theirs while steps wait. */
let server: TemporalServer;
let worker: TestWorker;
let folder: string;
const servers = new LoopbackServers();
let gate: Gate;

beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  const policy = join(folder, 'policy.json');
  const scopes = ['flow:start', 'block:*', 'resources:*', 'http:*:*', 'secret:*'];
  const tenant = { scopes, privateHosts: ['127.0.0.1'], quotas: { concurrentSteps: 1 } };
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: { acme: tenant } }));
  writeFileSync(join(folder, 'secret'), 'hunter2');
  worker = await startTestWorker({ policy, secret: [`login=file:${join(folder, 'secret')}`] }, server);
}, 30_000);
afterAll(async () => {
  await servers.close();
  await worker.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  gate = await new Gate().open(servers);
});
afterEach(() => gate.let());

const start = (flow: string, input: null | number[] = null) => worker.start(flow, input, { tenant: 'acme' });
const call = (name: string, more = '') =>
  `{${name}: {call: http, with: {method: get, endpoint: '${gate.url}'${more}}}}`;

/** Makes workflow tasks, and with them a long history. */
async function fillHistory(handle: WorkflowHandle, count = 8): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await handle.executeUpdate('event', {
      args: [{ specversion: '1.0', id: `${index}`, source: '/test', type: 'filler' }],
    });
  }
}

async function runOf(handle: WorkflowHandle): Promise<string> {
  return (await worker.client.workflow.getHandle(handle.workflowId).describe()).runId;
}

function firstRunOf(handle: WorkflowHandle): string | undefined {
  return (handle as WorkflowHandleWithFirstExecutionRunId).firstExecutionRunId;
}

async function newRun(handle: WorkflowHandle, before: string): Promise<string> {
  return await eventually(async () => {
    const runId = await runOf(handle);
    return runId === before ? undefined : runId;
  });
}

test('a flow leaves its history while its steps wait, and is told its turn in the next', async () => {
  const running = await start(`do: [${call('s')}]`);
  await gate.holds(1);
  const handle = await start(
    `use: {secrets: [login]}\ndo: [{f: {fork: {branches: [${call('a', ", headers: {x-login: '${ secrets.login }'}")}, ${call('b')}]}}}]`,
  );
  const isWaiting = ({ steps }: FlowProgress) =>
    steps.filter(({ status, name }) => status === 'awaitingQuota' && name !== 'f').length === 2;
  await progressWhen(handle, isWaiting);
  let run = await runOf(handle);
  for (let round = 0; round < 2; round += 1) {
    await fillHistory(handle);
    run = await newRun(handle, run);
    await progressWhen(worker.client.workflow.getHandle(handle.workflowId), isWaiting);
  }
  gate.let();
  await running.result();
  for (let left = 2; left > 0; left -= 1) {
    await gate.holds(1);
    gate.let();
  }
  await worker.client.workflow.getHandle(handle.workflowId).result();
  expect(gate.most).toBe(1);
  const logins = gate.server.requests.map(({ headers }) => headers['x-login']).filter((login) => login !== undefined);
  expect(logins).toEqual(['hunter2']);
});

test('a flow that is cancelled in its next run leaves the line as well', async () => {
  const running = await start(`do: [${call('s')}]`);
  await gate.holds(1);
  const handle = await start(`do: [${call('a')}]`);
  await progressWhen(handle, ({ steps }) => steps[0]?.status === 'awaitingQuota');
  const run = await runOf(handle);
  await fillHistory(handle);
  await newRun(handle, run);
  const next = await start(`do: [${call('n')}]`);
  await progressWhen(next, ({ steps }) => steps[0]?.status === 'awaitingQuota');
  const current = worker.client.workflow.getHandle(handle.workflowId);
  await current.cancel();
  await expect(current.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  gate.let();
  await running.result();
  await gate.holds(1);
  gate.let();
  await next.result();
});

test('a long loop whose every step may have to wait goes on over many histories', async () => {
  const items = Array.from({ length: 15 }, (_, index) => index);
  const free = new Map<string, number>();
  const open = await servers.http((request, response) => {
    free.set(request.url ?? '', (free.get(request.url ?? '') ?? 0) + 1);
    response.end('{}');
  });
  const flow = (name: string) =>
    `do: [{l: {for: {in: workflow.input}, metadata: {concurrency: 4}, do: [{c: {call: http, with: {method: get, endpoint: '\${ "${open.origin}/${name}/" + string(index) }'}}}]}}]`;
  const handles = await Promise.all(['a', 'b', 'c'].map((name) => start(flow(name), items)));
  await Promise.all(handles.map((handle) => handle.result()));
  expect(free.size).toBe(45);
  expect([...free.values()].every((count) => count === 1)).toBe(true);
  for (const handle of handles) expect(await runOf(handle)).not.toBe(firstRunOf(handle));
}, 60_000);
