import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { QueueSurvey } from '../../../src/worker/telemetry/queue-survey';
import { connectClient, connectWorker } from '../../../src/worker/temporal-connection';
import { testTemporal } from '../../helpers/temporal';
import { eventually } from '../../helpers/test-worker';

const prefix = `survey-${randomUUID()}`;
const IO = { resources: 'io', taskQueue: `${prefix}-io` } as const;
const CPU = { resources: 'cpu', taskQueue: `${prefix}-cpu` } as const;
let connection: NativeConnection;
let namespace: string;
let client: Client;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ connection, namespace } = await connectWorker(testTemporal()));
  ({ client, close } = await connectClient(testTemporal()));
});

afterAll(async () => {
  await close();
  await connection.close();
});

it("tells Temporal's own backlog of each queue, flows on the io queue included", async () => {
  const ids = Array.from({ length: 3 }, (_, index) => `${prefix}-${index}`);
  for (const workflowId of ids) {
    await client.workflow.start('nobody', { taskQueue: IO.taskQueue, workflowId });
  }
  const pools = await eventually(async () => {
    const answer = await new QueueSurvey({ connection, namespace, pools: [IO, CPU] }).read();
    return answer.pools.get('io')?.depth === ids.length ? answer.pools : undefined;
  });
  expect(pools.get('io')).toMatchObject({ pollers: [] });
  expect(pools.get('io')?.ageSeconds).toBeGreaterThan(0);
  expect(pools.get('cpu')).toEqual({ depth: 0, ageSeconds: 0, addRate: 0, dispatchRate: 0, pollers: [] });
  for (const id of ids) await client.workflow.getHandle(id).terminate();
});

it('gives an answer again for a while, asked by many at once too', async () => {
  const describe = jest.spyOn(connection.workflowService, 'describeTaskQueue');
  const survey = new QueueSurvey({ connection, namespace, pools: [CPU] });
  const [one, other] = await Promise.all([survey.read(), survey.read()]);
  expect(await survey.read()).toBe(one);
  expect(other).toBe(one);
  expect(describe).toHaveBeenCalledTimes(1);
  describe.mockRestore();
});

it('leaves out what cannot be told, and says why', async () => {
  const nowhere = { connection, namespace: `none-${prefix}`, pools: [CPU] };
  const { pools, failure } = await new QueueSurvey(nowhere).read();
  expect([...pools]).toEqual([]);
  expect(failure).toContain(`${CPU.taskQueue}: `);
  expect(failure).toContain('not found');
});
