import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { FlowProgress } from '../../src/dsl/progress';
import { connectClient } from '../../src/worker/temporal-connection';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { storeKinds } from '../helpers/state-stores';
import { testTemporal } from '../helpers/temporal';
import { flowOf, progressWhen } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];

describe.each(storeKinds())('quotas over worker processes, in $name', (kind) => {
  const servers = new LoopbackServers();
  const processes = new WorkerProcesses();
  let folder: string;
  let prefix: string;
  let gate: Gate;
  let client: Client;
  let disconnect: () => Promise<void>;

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(async () => {
    await servers.close();
    await kind.tearDown();
  });
  beforeEach(async () => {
    await kind.begin();
    folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
    prefix = `quota-${randomUUID()}`;
    gate = await new Gate().open(servers);
    ({ client, close: disconnect } = await connectClient(testTemporal()));
  });
  afterEach(async () => {
    gate.let();
    await disconnect();
    await processes.killAll();
    rmSync(folder, { recursive: true, force: true });
  });

  const startWorker = (concurrentSteps: number) => {
    const policy = join(folder, 'policy.json');
    const acme = { scopes: SCOPES, privateHosts: ['127.0.0.1'], quotas: { concurrentSteps } };
    writeFileSync(policy, JSON.stringify({ version: 1, tenants: { acme } }));
    const flags = { 'queue-prefix': prefix, 'blob-root': join(folder, 'blobs'), 'state-store': kind.flag(), policy };
    return processes.start(Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]));
  };
  const start = (steps: string): Promise<WorkflowHandle> =>
    client.workflow.start('runFlow', {
      taskQueue: `${prefix}-io`,
      workflowId: `quota-${randomUUID()}`,
      args: [{ flow: flowOf(`do: [${steps}]`), tenant: 'acme' }],
    });
  const call = (name: string) =>
    `{${name}: {call: http, metadata: {heartbeat: PT2S}, with: {method: get, endpoint: '${gate.url}'}}}`;
  const isWaiting = ({ steps }: FlowProgress) => steps.at(-1)?.status === 'awaitingQuota';

  test('leases of a worker that was killed expire, and the line goes on in its order', async () => {
    const first = await startWorker(2);
    const lost = [await start(call('s')), await start(call('s'))];
    await gate.holds(2);
    await startWorker(2);
    const next = await start(call('s'));
    await progressWhen(next, isWaiting);
    await kill(first);
    await gate.holds(0);
    // Their second attempts come while the leases of the first still stand.
    for (const handle of lost) await progressWhen(handle, isWaiting, 30_000);
    await gate.holds(2, 45_000);
    expect((await next.query<FlowProgress>('progress')).steps[0]?.status).toBe('running');
    for (let left = 3; left > 0; left -= Math.min(2, left)) {
      await gate.holds(Math.min(2, left));
      gate.let();
    }
    for (const handle of [...lost, next]) await handle.result();
    expect(gate.most).toBe(2);
    for (const handle of lost) {
      expect((await handle.query<FlowProgress>('progress')).steps).toMatchObject([{ attempts: 2 }]);
    }
  }, 120_000);

  test('never more steps than allowed at once, over two processes', async () => {
    await Promise.all([startWorker(5), startWorker(5)]);
    let now = 0;
    let most = 0;
    const server = await servers.http((_, response) => {
      now += 1;
      most = Math.max(most, now);
      setTimeout(() => {
        now -= 1;
        response.end('{}');
      }, 80);
    });
    const steps = (count: number) =>
      Array.from(
        { length: count },
        (_, index) => `{s${index}: {call: http, with: {method: get, endpoint: '${server.origin}/'}}}`,
      );
    const flows = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? steps(6).join(', ') : `{f: {fork: {branches: [${steps(8).join(', ')}]}}}`,
    );
    const handles = await Promise.all(flows.map(start));
    await Promise.all(handles.map((handle) => handle.result()));
    expect(server.requests).toHaveLength(6 * 6 + 6 * 8);
    expect(most).toBe(5);
    for (const handle of handles) {
      const { events } = await handle.fetchHistory();
      const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: began }) => began?.attempt ?? []);
      expect(new Set(attempts)).toEqual(new Set([1]));
    }
  }, 90_000);
});
