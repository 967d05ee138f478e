import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { TemporalServer } from '../../temporal-dev/server';
import { flowText } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { startOwnTemporal } from '../helpers/temporal';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Two namespaces of one server, whose workers have all in common: key, policy, names of task queues. */
let server: TemporalServer;
let acme: IdentityWorker;
let elsewhere: TestWorker;
beforeAll(async () => {
  server = await startOwnTemporal({ namespace: 'elsewhere' });
  const { address } = server;
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES)], {}, { address, namespace: 'default' });
  const flags = { auth: 'jwt', 'auth-key': acme.identity.authKeyFile, policy: acme.policyFile };
  const target = { address, namespace: 'elsewhere' };
  elsewhere = await startTestWorker({ ...flags, 'queue-prefix': acme.worker.queuePrefix }, target);
}, 30_000);
afterAll(async () => {
  await elsewhere.stop();
  await acme.stop();
  await server.stop();
});

const pinging = () => `do: [{ping: ${acme.ping}}]`;

const cli = async (namespace: string, ...args: string[]) =>
  runInProcess([
    ...args,
    ...['--address', server.address, '--namespace', namespace],
    ...['--token-file', await acme.identity.tokenFile(), '--seal-key', acme.identity.sealKeyFile],
  ]);

const fileOf = (name: string, schedule = '') => {
  const file = join(acme.worker.folder, `${name}.yaml`);
  writeFileSync(file, flowText(`jobs/${name}:1.0.0`, `${schedule}${pinging()}`));
  return file;
};

function start(worker: TestWorker, workflowId: string, input: Json): Promise<WorkflowHandle> {
  return worker.client.workflow.start(RUN_FLOW, { workflowId, taskQueue: acme.taskQueue, args: [input] });
}

/** What the start is refused with; not a block may have run. */
async function refusalElsewhere(workflowId: string, input: Json): Promise<JsonObject> {
  const before = acme.service.requests.length;
  const error = await errorOf(await start(elsewhere, workflowId, input));
  expect(acme.service.requests).toHaveLength(before);
  return error;
}

const OTHER = { code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('another Temporal namespace') };

test('a token that is sealed for a start in one namespace starts nothing in another', async () => {
  const id = `flow-${randomUUID()}`;
  const sealed = await acme.sealed(id, pinging());
  expect(await refusalElsewhere(id, sealed)).toMatchObject(OTHER);
  // It was a good one, and is still.
  expect(await (await start(acme.worker, id, sealed)).result()).toBe('pong');
});

test('the commands seal for the namespace that they are told', async () => {
  const file = fileOf('sealed');
  for (const [namespace, worker] of [
    ['default', acme.worker],
    ['elsewhere', elsewhere],
  ] as const) {
    const args = [file, '--queue-prefix', acme.worker.queuePrefix, '--json'];
    expect(await cli(namespace, 'run', ...args)).toMatchObject({ code: 0, stdout: expect.stringContaining('pong') });
    const id = `flow-${randomUUID()}`;
    const { stdout } = await cli(namespace, 'token', 'seal', '--for', id, '--flow', file, '--json');
    expect(await (await start(worker, id, JSON.parse(stdout) as Json)).result()).toBe('pong');
  }
});

test('they seal for the namespace of the environment where they are told none', async () => {
  const id = `flow-${randomUUID()}`;
  process.env.TEMPORAL_NAMESPACE = 'elsewhere';
  const { stdout } = await runInProcess([
    ...['token', 'seal', '--for', id, '--flow', fileOf('env'), '--json'],
    ...['--token-file', await acme.identity.tokenFile(), '--seal-key', acme.identity.sealKeyFile],
  ]).finally(() => delete process.env.TEMPORAL_NAMESPACE);
  const sealed = JSON.parse(stdout) as JsonObject;
  expect(await errorOf(await start(acme.worker, id, sealed))).toMatchObject(OTHER);
  expect(await (await start(elsewhere, id, sealed)).result()).toBe('pong');
});

test('a token that is sealed for a decision in one namespace decides nothing in another', async () => {
  const asking = 'do: [{ask: {call: human.approval, with: {title: Pay?}}}]';
  const id = `flow-${randomUUID()}`;
  const flows = [
    await start(acme.worker, id, await acme.sealed(id, asking)),
    await start(elsewhere, id, await acme.sealed(id, asking, { namespace: 'elsewhere' })),
  ] as const;
  const here = acme.worker.client.workflow.getHandle(`${id}/ask`);
  const there = elsewhere.client.workflow.getHandle(`${id}/ask`);
  await eventually(() => here.query('state'));
  await eventually(() => there.query('state'));
  const said = await acme.decision(here, { decision: 'approved' }, { sub: 'bob' });
  await expect(there.executeUpdate('decide', { args: [said] })).rejects.toMatchObject({
    cause: { type: 'BLW_TOKEN_INVALID', message: expect.stringContaining('another Temporal namespace') },
  });
  expect(await there.query('state')).toMatchObject({ status: 'pending', decisions: [] });
  await here.executeUpdate('decide', { args: [said] });
  expect(await flows[0].result()).toMatchObject({ decision: 'approved' });
  await flows[1].terminate();
});

describe('what is deployed in one namespace', () => {
  test('has a grant that starts nothing in another', async () => {
    const file = fileOf('cron', "schedule: {cron: '0 0 1 1 *'}\n");
    const args = ['deploy', file, '--tenant', 'acme', '--queue-prefix', acme.worker.queuePrefix];
    expect(await cli('default', ...args)).toMatchObject({ code: 0, stderr: '' });
    const { action } = await acme.worker.client.schedule.getHandle('beamline:acme:jobs/cron').describe();
    const [input] = action.args as unknown as [JsonObject];
    expect(await refusalElsewhere('acme/jobs/cron-1', input)).toMatchObject(OTHER);
    expect(await (await start(acme.worker, 'acme/jobs/cron-1', input)).result()).toBe('pong');
    // There, it has to be deployed itself.
    expect(await cli('elsewhere', ...args)).toMatchObject({ code: 0, stderr: '' });
    const there = await elsewhere.client.schedule.getHandle('beamline:acme:jobs/cron').describe();
    const [own] = there.action.args as unknown as [JsonObject];
    expect(await (await start(elsewhere, 'acme/jobs/cron-2', own)).result()).toBe('pong');
  });

  test('has a trigger that the bus of another does not take', async () => {
    const file = fileOf('on', "schedule: {on: {one: {with: {type: 'order'}}}}\n");
    const args = ['deploy', file, '--tenant', 'acme', '--queue-prefix', acme.worker.queuePrefix];
    expect(await cli('default', ...args)).toMatchObject({ code: 0, stderr: '' });
    const workflowId = `${acme.worker.queuePrefix}-events:acme`;
    const { events } = await acme.worker.client.workflow.getHandle(workflowId).fetchHistory();
    const signalled = events?.find((event) => event.workflowExecutionSignaledEventAttributes != null);
    const data = signalled?.workflowExecutionSignaledEventAttributes?.input?.payloads?.[0]?.data;
    const trigger = JSON.parse(Buffer.from(data as Uint8Array).toString()) as JsonObject;
    expect(trigger.grant).toEqual(expect.any(String));
    const bus = await elsewhere.client.workflow.signalWithStart('eventBus', {
      ...{ workflowId, taskQueue: acme.taskQueue, signal: 'trigger', signalArgs: [trigger] },
    });
    const { refused, triggers } = await eventually(async () => {
      const now = await bus.query<BusOverview>('subscriptions');
      return now.refused.length > 0 ? now : undefined;
    });
    expect(refused).toMatchObject([{ reason: expect.stringContaining('another Temporal namespace') }]);
    expect(triggers).toEqual([]);
    await bus.terminate();
  });
});
