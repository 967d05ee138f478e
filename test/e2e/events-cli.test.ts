import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { FlowProgress } from '../../src/dsl/progress';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { runCli } from '../helpers/cli';
import { testTemporal } from '../helpers/temporal';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
let temporalCli: string;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
  temporalCli = await findTemporal({ log: () => undefined, canInstall: false });
});
afterAll(() => worker.stop());

const newTenant = () => `t-${randomUUID().slice(0, 8)}`;

async function listening(tenant: string): Promise<WorkflowHandle> {
  const handle = await worker.start('do: [{hear: {listen: {to: {one: {with: {type: reply}}}}}}]', null, { tenant });
  await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
  return handle;
}

async function emit(...args: string[]) {
  return await runCli(['emit', '--queue-prefix', worker.queuePrefix, '--address', testTemporal().address, ...args]);
}

describe('beamline emit', () => {
  test('says to how many receivers the event went', async () => {
    const tenant = newTenant();
    const flow = await listening(tenant);
    const args = ['--type', 'reply', '--source', '/crm', '--id', 'r1', '--data', '{"ok": true}', '--tenant', tenant];
    expect(await emit(...args)).toMatchObject({ code: 0, stdout: 'event r1 was emitted to 1 receiver\n' });
    expect(await flow.result()).toEqual([{ ok: true }]);
    expect((await emit(...args)).stdout).toBe('event r1 was emitted before; nothing was done\n');
  });

  test('starts the event bus of a tenant that has none', async () => {
    const tenant = newTenant();
    const { code, stdout } = await emit('--type', 'x', '--source', '/s', '--id', 'e', '--tenant', tenant);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `event e was emitted; nobody of tenant ${tenant} listens to it\n`,
    });
    const json = await emit('--type', 'x', '--source', '/s', '--id', 'f', '--tenant', tenant, '--json');
    expect(JSON.parse(json.stdout)).toEqual({ id: 'f', receivers: 0 });
  });

  test('sends to one flow, which says whether it listens', async () => {
    const flow = await listening(newTenant());
    const send = (...args: string[]) => emit('--source', '/crm', '--flow', flow.workflowId, ...args);
    expect((await send('--type', 'other', '--id', 'o')).stdout).toBe(
      `event o is kept by ${flow.workflowId} until a step listens to it\n`,
    );
    expect((await send('--type', 'reply', '--id', 'r', '--data', '1')).stdout).toBe(
      `event r was delivered to ${flow.workflowId}\n`,
    );
    expect(await flow.result()).toEqual([1]);
    const { code, stderr } = await send('--type', 'reply');
    expect(code).toBe(2);
    expect(stderr).toContain(`no flow with the id "${flow.workflowId}" runs`);
  });

  test("refuses to send to a flow that is another tenant's", async () => {
    const tenant = newTenant();
    const flow = await listening(tenant);
    const send = (...args: string[]) =>
      emit('--type', 'reply', '--source', '/crm', '--data', '1', '--flow', flow.workflowId, ...args);
    const refused = await send('--tenant', 'globex');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain(
      `the flow "${flow.workflowId}" is not one of the tenant "globex"; nothing was sent`,
    );
    expect(refused.stderr).not.toContain(tenant);
    expect((await flow.query<FlowProgress>('progress')).steps.map(({ status }) => status)).toEqual(['listening']);
    expect(await send('--tenant', tenant)).toMatchObject({ code: 0 });
    expect(await flow.result()).toEqual([1]);
  });

  test.each([
    ['a bad tenant', ['--tenant', 'a:b'], '--tenant: got "a:b", expected'],
    ['a bad tenant with a flow', ['--tenant', 'a b', '--flow', 'f'], '--tenant: got "a b", expected'],
    ['data that is no JSON', ['--data', '{'], '--data: not JSON'],
    ['an event that is too large', ['--id', 'x'.repeat(600)], 'id: expected at most 500 characters'],
  ])('refuses %s', async (_, args, message) => {
    const { code, stderr } = await emit('--type', 'x', '--source', '/s', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

/** The commands of docs/events.md. */
describe('the Temporal CLI', () => {
  const temporal = async (...args: string[]): Promise<string> => {
    const { address, namespace } = testTemporal();
    const where = ['--address', address, '--namespace', namespace, '--output', 'json'];
    return (await promisify(execFile)(temporalCli, [...args, ...where])).stdout;
  };
  const event = (id: string, type: string, data: unknown) =>
    JSON.stringify({ specversion: '1.0', id, source: '/crm', type, data });

  test('emits by signal-with-start, and by an update that answers', async () => {
    const tenant = newTenant();
    const bus = `${worker.queuePrefix}-events:${tenant}`;
    const signal = ['workflow', 'signal-with-start', '--workflow-id', bus, '--type', 'eventBus'];
    const queue = ['--task-queue', `${worker.queuePrefix}-io`];
    await temporal(...signal, ...queue, '--signal-name', 'emit', '--signal-input', event('1', 'early', 0));
    const flow = await listening(tenant);
    const answer = await temporal(
      'workflow',
      'update',
      'execute',
      '--workflow-id',
      bus,
      '--name',
      'emit',
      '--input',
      event('2', 'reply', 7),
    );
    expect(JSON.parse(answer)).toMatchObject({ result: { id: '2', receivers: 1 } });
    expect(await flow.result()).toEqual([7]);
    const overview = await temporal('workflow', 'query', '--workflow-id', bus, '--name', 'subscriptions');
    expect(JSON.parse(overview)).toMatchObject({ queryResult: [{ tenant, emitted: 2 }] });
    const progress = await temporal('workflow', 'query', '--workflow-id', flow.workflowId, '--name', 'progress');
    expect(JSON.parse(progress)).toMatchObject({ queryResult: [{ tenant, status: 'Completed' }] });
  });

  test('sends to one flow by signal', async () => {
    const flow = await listening(newTenant());
    await temporal(
      'workflow',
      'signal',
      '--workflow-id',
      flow.workflowId,
      '--name',
      'event',
      '--input',
      event('1', 'reply', 8),
    );
    expect(await flow.result()).toEqual([8]);
  });

  test('sets a trigger', async () => {
    const tenant = newTenant();
    const bus = worker.client.workflow.getHandle(`${worker.queuePrefix}-events:${tenant}`);
    const flow = await listening(tenant);
    const document = {
      document: { dsl: '1.0.3', namespace: 'test', name: 'answer', version: '1.0.0' },
      evaluate: { language: 'cel' },
      do: [{ tell: { emit: { event: { with: { type: 'reply', data: '${ workflow.input[0] }' } } } } }],
    };
    const trigger = JSON.stringify({ id: 'answers', flow: document, on: { one: { with: { type: 'question' } } } });
    await temporal('workflow', 'signal', '--workflow-id', bus.workflowId, '--name', 'trigger', '--input', trigger);
    await eventually(async () =>
      (await bus.query<BusOverview>('subscriptions')).triggers.length === 1 ? true : undefined,
    );
    await temporal(
      'workflow',
      'signal',
      '--workflow-id',
      bus.workflowId,
      '--name',
      'emit',
      '--input',
      event('q', 'question', 'why'),
    );
    expect(await flow.result()).toEqual(['why']);
  });
});
