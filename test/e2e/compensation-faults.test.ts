import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { connectClient } from '../../src/worker/temporal-connection';
import { type Effects, startEffects } from '../helpers/effects';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, progressWhen } from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

let effects: Effects;
let client: Client;
let disconnect: () => Promise<void>;
beforeAll(async () => {
  effects = await startEffects();
  ({ client, close: disconnect } = await connectClient(testTemporal()));
});
afterAll(async () => {
  await disconnect();
  await effects.stop();
});
/** Workers of one test, which runs beside the others: it waits for timeouts most of its time. */
class Workers {
  readonly #processes = new WorkerProcesses();
  readonly #folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  readonly #prefix = `undo-${randomUUID()}`;

  start(): ReturnType<WorkerProcesses['start']> {
    const blobRoot = join(this.#folder, 'blobs');
    const flags = { 'queue-prefix': this.#prefix, 'blob-root': blobRoot, 'allow-host': '127.0.0.1' };
    return this.#processes.start(Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]));
  }

  /** Starts a flow of three steps that can be undone and then `end`. */
  async startFlow(path: string, end: string): Promise<WorkflowHandle> {
    return await client.workflow.start('runFlow', {
      taskQueue: `${this.#prefix}-io`,
      workflowId: `undo-${randomUUID()}`,
      args: [{ flow: flowOf(`do: [${[...undoable(path, ['a', 'b', 'c']), end].join(', ')}]`), input: null }],
    });
  }

  async end(): Promise<void> {
    await this.#processes.killAll();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Does something with workers of its own, which end with it. */
async function withWorkers(work: (workers: Workers) => Promise<void>): Promise<void> {
  const workers = new Workers();
  try {
    await work(workers);
  } finally {
    await workers.end();
  }
}

const newPath = () => `/${randomUUID().slice(0, 8)}`;
const call = (path: string) =>
  `call: http, with: {method: put, endpoint: '${effects.origin}${path}', body: {}}, metadata: {heartbeat: PT2S, retry: {initialInterval: PT0.1S, backoffCoefficient: 1, maximumAttempts: 20}}`;
/** Steps `names`, each of which is undone by a call of its own. */
const undoable = (path: string, names: readonly string[]) =>
  names.map((name) => `{${name}: {set: {done: true}, metadata: {compensate: [{undo: {${call(`${path}/${name}`)}}}]}}}`);
const FAIL = '{fail: {raise: {error: {type: "https://x.test/e", status: 500, detail: gone}}}}';

const inFlight = (path: string) => eventually(async () => (effects.seen(path) > 0 ? true : undefined), 30_000);

describe('compensations run to their end', () => {
  test.concurrent('where their flow is cancelled, and cancelled again', () =>
    withWorkers(async (workers) => {
      await workers.start();
      const path = newPath();
      effects.held.add(`${path}/b`);
      const handle = await workers.startFlow(path, '{w: {wait: PT1H}}');
      await progressWhen(handle, ({ stepsStarted }) => stepsStarted === 4);
      await handle.cancel();
      await inFlight(`${path}/b`);
      await handle.cancel();
      await progressWhen(handle, ({ status }) => status === 'Compensating');
      await handle.cancel();
      effects.release(`${path}/b`);
      await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
      for (const name of ['a', 'b', 'c']) expect(effects.keys(`${path}/${name}`)).toHaveLength(1);
    }));

  test.concurrent('where a flow that failed is cancelled meanwhile, twice', () =>
    withWorkers(async (workers) => {
      await workers.start();
      const path = newPath();
      effects.held.add(`${path}/c`);
      const handle = await workers.startFlow(path, FAIL);
      await inFlight(`${path}/c`);
      await handle.cancel();
      await handle.cancel();
      effects.release(`${path}/c`);
      await handle.result().catch(() => undefined);
      for (const name of ['a', 'b', 'c']) expect(effects.asked(`${path}/${name}`)).toBe(1);
    }));

  test.concurrent('where one of them fails several times before it succeeds', () =>
    withWorkers(async (workers) => {
      await workers.start();
      const path = newPath();
      effects.unavailable.set(`${path}/b`, 4);
      const handle = await workers.startFlow(path, FAIL);
      expect(await errorOf(handle)).toMatchObject({ detail: 'gone', compensation: { completed: 3, failed: [] } });
      expect(effects.seen(`${path}/b`)).toBe(5);
      for (const name of ['a', 'b', 'c']) expect(effects.asked(`${path}/${name}`)).toBe(1);
    }));

  test.concurrent('where the worker is killed in the middle of one, also in a flow that is cancelled', async () => {
    const killInTheMiddle = (end: string) =>
      withWorkers(async (workers) => {
        const first = await workers.start();
        const path = newPath();
        effects.held.add(`${path}/b`);
        const handle = await workers.startFlow(path, end);
        if (end !== FAIL) {
          await progressWhen(handle, ({ stepsStarted }) => stepsStarted === 4);
          await handle.cancel();
        }
        await inFlight(`${path}/b`);
        await kill(first);
        effects.release(`${path}/b`);
        await workers.start();
        if (end === FAIL)
          expect(await errorOf(handle)).toMatchObject({ detail: 'gone', compensation: { completed: 3, failed: [] } });
        else await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
        for (const name of ['a', 'b', 'c']) expect(effects.keys(`${path}/${name}`)).toHaveLength(1);
        for (const name of ['a', 'c']) expect(effects.asked(`${path}/${name}`)).toBe(1);
      });
    await Promise.all([FAIL, '{w: {wait: PT1H}}'].map(killInTheMiddle));
  }, 60_000);
});
