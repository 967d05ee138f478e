import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RUN_FLOW } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { type RunningCli, startCli } from '../helpers/cli';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A command that starts while others run takes a while. */
const WAIT_MS = 60_000;

const servers = new LoopbackServers();
let folder: string;
let gate: Gate;
let worker: TestWorker;
const runs: RunningCli[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  gate = await new Gate().open(servers);
});
afterEach(async () => {
  gate.let();
  for (const run of runs.splice(0)) run.kill();
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => servers.close());

/** A worker with these quotas of the tenant acme, and those of another that are larger. */
async function allow(quotas: object): Promise<void> {
  const policy = join(folder, 'policy.json');
  const tenant = { scopes: ['flow:start', 'block:*', 'resources:*', 'http:*:*'], privateHosts: ['127.0.0.1'] };
  const tenants = { acme: { ...tenant, quotas }, globex: { ...tenant, quotas: { concurrentSteps: 77, flows: 77 } } };
  writeFileSync(policy, JSON.stringify({ version: 1, tenants }));
  worker = await startTestWorker({ policy });
}

const tasks = () => `do: [{ getOrder: { call: http, with: { method: get, endpoint: '${gate.url}' } } }]`;

/** A flow of which nobody watches how it goes. */
const start = (id: string, tenant: string) =>
  worker.client.workflow.start(RUN_FLOW, {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `${worker.queuePrefix}-${id}`,
    args: [{ flow: flowOf(tasks()), input: null, tenant }],
  });

function run(id: string, tenant: string): RunningCli {
  const flow = join(folder, 'flow.yaml');
  writeFileSync(flow, `document: { dsl: '1.0.3', namespace: test, name: quota, version: '1.0.0' }\n${tasks()}\n`);
  const { address, namespace } = testTemporal();
  const where = ['--address', address, '--namespace', namespace, '--queue-prefix', worker.queuePrefix];
  const cli = startCli(['run', flow, '--tenant', tenant, '--id', `${worker.queuePrefix}-${id}`, ...where], {
    cwd: folder,
  });
  runs.push(cli);
  return cli;
}

const progressOf = (id: string, isSo: (progress: FlowProgress) => boolean) =>
  progressWhen(worker.client.workflow.getHandle(`${worker.queuePrefix}-${id}`), isSo);

test('run says which quota a step waits for, once, and so does the query', async () => {
  await allow({ concurrentSteps: 1 });
  const other = await start('other', 'globex');
  const first = await start('first', 'acme');
  await gate.holds(2);
  const second = run('second', 'acme');
  await second.waitFor(/waits: /, { stream: 'stderr', timeoutMs: WAIT_MS });
  const { steps } = await progressOf('second', (progress) => progress.steps[0]?.status === 'awaitingQuota');
  expect(steps[0]?.waitsFor).toEqual({ reason: 'concurrentSteps', limit: 1, used: 1 });
  gate.let();
  await Promise.all([first.result(), other.result()]);
  await gate.holds(1);
  gate.let();
  const { code, stderr } = await second.exited;
  expect({ code, waits: new Set(stderr.match(/^… .*$/gm)) }).toEqual({
    code: 0,
    // Once, and again half a minute later.
    waits: new Set([
      expect.stringMatching(
        /^… \/do\/0\/getOrder +http\.request +waits: concurrentSteps 1 of 1 in use by tenant acme$/,
      ),
    ]),
  });
  expect(stderr).not.toMatch(/globex|\b77\b/);
  const ended = await progressOf('second', (progress) => progress.steps[0]?.status === 'completed');
  expect(ended.steps[0]).not.toHaveProperty('waitsFor');
});

test('run says that the flow itself waits', async () => {
  await allow({ flows: 1 });
  const first = await start('first', 'acme');
  await gate.holds(1);
  const second = run('second', 'acme');
  await second.waitFor(/^… the flow +waits: flows 1 of 1 open for tenant acme$/m, {
    stream: 'stderr',
    timeoutMs: WAIT_MS,
  });
  const waiting = await progressOf('second', ({ waitsFor }) => waitsFor !== undefined);
  expect(waiting).toMatchObject({ status: 'AwaitingQuota', waitsFor: { reason: 'flows', limit: 1, used: 1 } });
  gate.let();
  await first.result();
  await gate.holds(1);
  gate.let();
  expect((await second.exited).code).toBe(0);
});
