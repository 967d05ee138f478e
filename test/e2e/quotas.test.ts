import { randomUUID } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { Json } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { Quotas } from '../../src/worker/policy/policy';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Holds requests until they are let go, and counts how many are there at once. */
class Gate {
  readonly #held: ServerResponse[] = [];
  most = 0;
  server: LoopbackServer | undefined;

  async open(servers: LoopbackServers): Promise<this> {
    this.server = await servers.http((_, response) => {
      this.#held.push(response);
      response.on('close', () => {
        const index = this.#held.indexOf(response);
        if (index !== -1) this.#held.splice(index, 1);
      });
      this.most = Math.max(this.most, this.#held.length);
    });
    return this;
  }

  get url(): string {
    return `${this.server?.origin}/`;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Answers those that wait now. */
  let(count = this.#held.length): void {
    for (const response of this.#held.splice(0, count)) response.end('{}');
  }

  async holds(count: number): Promise<void> {
    await eventually(async () => (this.held === count ? true : undefined));
  }
}

const servers = new LoopbackServers();
let folder: string;
let policy: string;
const workers: TestWorker[] = [];
let gate: Gate;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  policy = join(folder, 'policy.json');
  gate = await new Gate().open(servers);
});
afterEach(async () => {
  gate.let();
  for (const worker of workers.splice(0)) await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => servers.close());

const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*', 'blob:read:*', 'blob:write:*', 'approval:*'];

/** Puts a policy in force; the file takes durations in words. */
function allow(quotas: Omit<Quotas, 'cpuTime'> & { cpuTime?: { max: string; window: string } }): void {
  const tenant = { scopes: SCOPES, quotas, privateHosts: ['127.0.0.1'] };
  const other = { scopes: SCOPES, privateHosts: ['127.0.0.1'] };
  writeFileSync(`${policy}.new`, JSON.stringify({ version: 1, tenants: { acme: tenant, other } }));
  renameSync(`${policy}.new`, policy);
}

/** Workers on the same task queues and with the same store; gives the first. */
async function startWorkers(count: number): Promise<TestWorker> {
  const shared = {
    'queue-prefix': `quota-${randomUUID()}`,
    'state-store': `sqlite:${join(folder, 'state.sqlite')}`,
    policy,
  };
  for (let index = 0; index < count; index += 1) {
    workers.push({ ...(await startTestWorker(shared)), queuePrefix: shared['queue-prefix'] });
  }
  const [worker] = workers;
  if (worker === undefined) throw new Error('there is no worker');
  return worker;
}

const call = (name = 's') => `{${name}: {call: http, with: {method: get, endpoint: '${gate.url}'}}}`;
const fork = (count: number) =>
  `do: [{f: {fork: {branches: [${Array.from({ length: count }, (_, index) => call(`b${index}`)).join(', ')}]}}}]`;
const start = ({ client, queuePrefix }: TestWorker, flow: string, input: Json = null, tenant = 'acme') =>
  client.workflow.start(RUN_FLOW, {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `quota-${randomUUID()}`,
    args: [{ flow: flowOf(flow), input, tenant }],
  });

/** Attempts of a flow's activities, as its history has them. */
async function attemptsOf(handle: WorkflowHandle): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []);
}

async function signalsOf(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes != null).length;
}

test('a fork runs as many branches at once as the tenant may, and sends out no more', async () => {
  allow({ concurrentSteps: 3 });
  const worker = await startWorkers(1);
  const handle = await start(worker, fork(10));
  await gate.holds(3);
  const { steps } = await progressWhen(
    handle,
    (progress) => progress.steps.filter(({ status }) => status === 'awaitingQuota').length === 7,
  );
  expect(steps.filter(({ status }) => status === 'running')).toHaveLength(4);
  for (let left = 10; left > 0; left -= 1) {
    await gate.holds(Math.min(3, left));
    gate.let(1);
  }
  await handle.result();
  expect(gate.most).toBe(3);
  expect(await attemptsOf(handle)).toEqual(Array(10).fill(1));
  expect(await signalsOf(handle)).toBe(0);
});

test('flows of one tenant on two workers share its places, in the order in which they came', async () => {
  allow({ concurrentSteps: 2 });
  const worker = await startWorkers(2);
  const first = await start(worker, `do: [${call('a')}, ${call('b')}]`);
  const second = await start(worker, `do: [${call('a')}]`);
  await gate.holds(2);
  const waiting: WorkflowHandle[] = [];
  for (let index = 0; index < 3; index += 1) {
    const handle = await start(worker, `do: [${call()}]`);
    await progressWhen(handle, ({ steps }) => steps[0]?.status === 'awaitingQuota');
    waiting.push(handle);
  }
  const other = await start(worker, `do: [${call()}]`, null, 'other');
  await gate.holds(3);
  gate.let(3);
  await Promise.all([second.result(), other.result()]);
  await Promise.all(
    waiting.slice(0, 2).map((handle) => progressWhen(handle, ({ steps }) => steps[0]?.status === 'running')),
  );
  await gate.holds(2);
  expect((await waiting[2]?.query<{ steps: { status: string }[] }>('progress'))?.steps[0]?.status).toBe(
    'awaitingQuota',
  );
  gate.let(2);
  await gate.holds(2);
  gate.let(2);
  await Promise.all([first, ...waiting].map((handle) => handle.result()));
  expect(gate.most).toBe(3);
  for (const handle of [first, second, ...waiting]) expect(new Set(await attemptsOf(handle))).toEqual(new Set([1]));
});
